"""Stores on a fresh database, a clock that tests move, a log that remembers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from answerback.testing.clock import FakeClock
from builders import Journal
from databases import Database, PostgresDatabase, SqliteDatabase, own_database
from fallbacks import Fallbacks
from servers import (
    postgres_server,
    postgres_url,
    rabbit_server,
    rabbitmq_url,
    redis_server,
    redis_url,
    run_folder,
    vhosts,
)
from stores import Stores
from surroundings import llm, receiver

__all__ = [
    "llm",
    "postgres_server",
    "postgres_url",
    "rabbit_server",
    "rabbitmq_url",
    "receiver",
    "redis_server",
    "redis_url",
    "run_folder",
    "vhosts",
]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answerback.db"


@pytest.fixture(scope="session")
def migrated(postgres_server: str) -> Iterator[PostgresDatabase]:
    """This worker's, with the schema."""
    with own_database(postgres_server) as database:
        yield database


@pytest.fixture
async def postgres(migrated: PostgresDatabase) -> PostgresDatabase:
    """Empty, with the schema."""
    await migrated.empty()
    return migrated


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, path: Path) -> Database:
    """Each of the two in turn."""
    return SqliteDatabase(path) if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def fallbacks() -> Iterator[Fallbacks]:
    """Fails a test whose store took a fallback that the test did not allow."""
    made = Fallbacks()
    yield made
    assert not made.unexpected, "the database ran operations in a slower way"


@pytest.fixture
async def stores(database: Database, clock: FakeClock, fallbacks: Fallbacks) -> AsyncIterator[Stores]:
    opened = await database.open(clock, metrics=fallbacks)
    yield opened
    await opened.close()
