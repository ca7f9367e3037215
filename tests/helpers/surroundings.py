"""What stands around a service under test: an LLM, and a receiver that checks signatures."""

from collections.abc import AsyncIterator

import pytest

from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver

SECRET = "whsec_bm9ib2R5IGd1ZXNzZXMgdGhpcyBvbmUgZXZlcg=="
"""Signs the callbacks of services under test, and is what the receiver checks them with."""


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as llm:
        yield llm


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SECRET) as receiver:
        yield receiver
