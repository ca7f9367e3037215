"""An LLM, a receiver that checks signatures, and brokers of either kind."""

from collections.abc import AsyncIterator

import pytest
from processes import SECRET

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


@pytest.fixture(params=["redis_url", "rabbitmq_url"], ids=["redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """An empty broker that nobody kills."""
    url: str = request.getfixturevalue(request.param)
    return url
