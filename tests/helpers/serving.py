"""One LLM, one service and its clients for the tests of a module: each test uses words of its own. For a folder's
`conftest.py`."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
import openai
import pytest
import pytest_asyncio

from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(models=("fake", "vendor/large:free")) as server:
        yield server


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    """What a module's service is set to, besides where its LLM is."""
    return {}


@pytest.fixture(scope="module")
def headers(settings: Mapping[str, str]) -> Mapping[str, str]:
    """What a module's requests carry: the service's key, if it has one."""
    return {"Authorization": f"Bearer {settings['AUTH_TOKEN']}"} if "AUTH_TOKEN" in settings else {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(llm: FakeLLM, settings: Mapping[str, str]) -> AsyncIterator[Service]:
    async with Service(upstream(llm.base_url) | settings) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(service: Service, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(service.url, headers=headers) as session:
        yield session


def client_of(service: Service, key: str = "the-key") -> openai.AsyncOpenAI:
    """OpenAI's own package, which refuses whatever its types do not allow."""
    return openai.AsyncOpenAI(
        base_url=f"{service.url}/v1", api_key=key, max_retries=0, _strict_response_validation=True
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdk(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(service) as made:
        yield made
