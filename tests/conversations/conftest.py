"""Conversations on each database."""

from collections.abc import AsyncIterator

import pytest
from conversation_record import Record

from answerback.jobs.store import SqlStore
from answerback.kernel.telemetry import UNMEASURED
from answerback.redis.link import Link
from builders import Journal


@pytest.fixture
def record(store: SqlStore) -> Record:
    return Record(store._database)


@pytest.fixture
async def link(redis_url: str, journal: Journal) -> AsyncIterator[Link]:
    """To a Redis of this test's own."""
    link = Link(redis_url, journal, UNMEASURED)
    yield link
    await link.close()
