"""Conversations on each database, and in Redis."""

from collections.abc import AsyncIterator

import pytest
from conversation_record import Record

from answerback.kernel.telemetry import UNMEASURED
from answerback.redis.link import Link
from builders import Journal
from stores import Stores


@pytest.fixture
def record(stores: Stores) -> Record:
    return Record(stores.database)


@pytest.fixture
async def link(redis_url: str, journal: Journal) -> AsyncIterator[Link]:
    """To a Redis of this test's own."""
    link = Link(redis_url, journal, UNMEASURED)
    yield link
    await link.close()
