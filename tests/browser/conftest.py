"""The console in a real Chromium, against the service as a process.

One browser, one service with its LLM and its receiver serve a whole worker; each test has a tenant and a browser
profile of its own. A test fails if a page wrote an error to its console, threw, or tried what the policy forbids.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser, Visitor, started_browser
from storefront import OPERATOR, Shop, busy_day, shop

from servers import missing

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder runs in the session's event loop, where the browser is."""
    for item in items:
        if FOLDER in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with started_browser(missing) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running() -> AsyncIterator[Shop]:
    async with shop() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def day(running: Shop) -> Sequence[str]:
    """The jobs of the shop's day."""
    return await busy_day(running)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, running: Shop) -> AsyncIterator[Visitor]:
    """Somebody whose tenant nobody else has, signed in."""
    async with browser.visit(running.service.url, await running.new_key()) as visitor:
        yield visitor


@pytest_asyncio.fixture(loop_scope="session")
async def owner(browser: Browser, running: Shop, day: Sequence[str]) -> AsyncIterator[Visitor]:
    """The shop's operator, who sees its day."""
    async with browser.visit(running.service.url, OPERATOR) as visitor:
        yield visitor
