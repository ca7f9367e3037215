"""An LLM, a receiver that checks signatures, and a place for figures."""

import sys
from collections.abc import AsyncIterator, Callable

import pytest
from world import SECRET

from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as llm:
        yield llm


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SECRET) as receiver:
        yield receiver


@pytest.fixture
def figures(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Shows a line of measurements, whether the test passes or not."""

    def show(line: str) -> None:
        with capfd.disabled():
            sys.stderr.write(f"\n{line}\n")

    return show
