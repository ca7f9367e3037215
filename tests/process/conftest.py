"""The stories of this folder run against the service as a process.

Those about a `relay` share one service, one LLM and one receiver, in the event loop of the session. Those about a
`service` share one, with its LLM, in a module and in the module's event loop.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from relay import AUTH_TOKEN, OPERATOR_TOKEN, PROVIDER_KEY, SECRET, Client, Relay, Surroundings

from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from serving import headers, http, llm, sdk, service, settings

__all__ = ["headers", "http", "llm", "sdk", "service", "settings"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories that name no event loop run in the session's."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents and pytest_asyncio.is_async_test(item) and not _names_its_loop(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def _names_its_loop(item: pytest.Item) -> bool:
    return any("loop_scope" in mark.kwargs for mark in item.iter_markers("asyncio"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def surroundings() -> AsyncIterator[Surroundings]:
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        FakeLLM() as llm,
        Receiver(SECRET) as receiver,
    ):
        yield Surroundings(llm, receiver, session)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def relay(surroundings: Surroundings) -> AsyncIterator[Relay]:
    tokens = {"auth_token": AUTH_TOKEN, "operator_token": OPERATOR_TOKEN, "openrouter_api_key": PROVIDER_KEY}
    async with surroundings.running(keys=600, **tokens, callback_max_retries=3) as relay:
        yield relay


@pytest.fixture
def client(relay: Relay) -> Client:
    """A tenant of the shared service that nobody else is."""
    return relay.client()


@pytest.fixture
def other(relay: Relay) -> Client:
    """Another tenant."""
    return relay.client()
