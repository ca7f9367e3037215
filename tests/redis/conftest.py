"""A link to a Redis of this test's own."""

from collections.abc import AsyncIterator

import pytest
from outages import Outages

from answerback.redis.link import Link
from builders import Journal


@pytest.fixture
def outages() -> Outages:
    return Outages()


@pytest.fixture
async def link(redis_url: str, journal: Journal, outages: Outages) -> AsyncIterator[Link]:
    link = Link(redis_url, journal, outages)
    yield link
    await link.close()
