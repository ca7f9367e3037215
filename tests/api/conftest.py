"""One service, one LLM and one receiver for all stories of this folder, in one event loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from relay import AUTH_TOKEN, PROVIDER_KEY, SECRET, Client, Relay, running

from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as llm:
        yield llm


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SECRET) as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def relay(llm: FakeLLM, receiver: Receiver, http: aiohttp.ClientSession) -> AsyncIterator[Relay]:
    chosen = {"auth_token": AUTH_TOKEN, "openrouter_api_key": PROVIDER_KEY, "callback_max_retries": 3}
    async with running(llm, receiver, http, keys=600, **chosen) as relay:
        yield relay


@pytest.fixture
def client(relay: Relay) -> Client:
    """A tenant of the shared service that nobody else is."""
    return relay.client()


@pytest.fixture
def other(relay: Relay) -> Client:
    """Another tenant."""
    return relay.client()
