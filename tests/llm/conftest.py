from collections.abc import AsyncIterator

import pytest

from answerback.kernel.heavy import HeavyWork
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing.llm import FakeLLM

NOW = 1_750_000_000_000


@pytest.fixture
async def provider(llm: FakeLLM) -> AsyncIterator[OpenAICompatible]:
    made = OpenAICompatible(
        llm.base_url, "sk-secret", "house/model", connect_timeout=5, now=lambda: NOW, heavy=HeavyWork()
    )
    yield made
    await made.close()
