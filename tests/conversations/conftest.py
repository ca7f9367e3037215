"""Conversations on each database, and in Redis."""

from collections.abc import AsyncIterator

import pytest
from conversation_record import Record, database_of

from answerback.database.operation import Database
from answerback.kernel.telemetry import UNMEASURED
from answerback.redis.link import Link
from answerback.testing.clock import FakeClock
from builders import Journal
from databases import Database as TestedDatabase


@pytest.fixture
async def opened(database: TestedDatabase, clock: FakeClock) -> AsyncIterator[Database]:
    opened = await database.open(clock)
    yield database_of(opened)
    await opened.close()


@pytest.fixture
def record(opened: Database) -> Record:
    return Record(opened)


@pytest.fixture
async def link(redis_url: str, journal: Journal) -> AsyncIterator[Link]:
    """To a Redis of this test's own."""
    link = Link(redis_url, journal, UNMEASURED)
    yield link
    await link.close()
