"""Stores on a fresh database, a clock that tests move, a log that remembers; and which tests are quick."""

import contextlib
import gc
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from answerback.database.postgres import runner
from answerback.database.postgres.session import LONG_LOCK_TIMEOUT
from answerback.database.sqlite.schema import migrate as migrate_sqlite
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.telemetry import UNMEASURED
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.redis.link import Link
from answerback.testing import process
from answerback.testing.clock import FakeClock
from answerback.testing.llm import FakeLLM
from answerback.testing.process import spawn
from builders import Journal
from databases import Database, Emptying, PostgresDatabase, SqliteDatabase, own_database
from fallbacks import Fallbacks
from forks import Forks
from servers import (
    postgres_server,
    postgres_url,
    rabbit_server,
    rabbitmq_url,
    redis_server,
    redis_url,
    run_folder,
)
from stores import Stores
from surroundings import llm, receiver

# How long an example takes says something of the machine, not of the code.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

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
]


SLOW_FOLDERS = {"docs", "process", "crash", "fleet", "demo", "deploy", "browser"}
SERVERS = {"postgres_server", "redis_server", "rabbit_server"}
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}
"""The audit events of a process being started."""
_running: list[pytest.Item] = []


def pytest_configure() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and every process of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What is imported and collected stays: no garbage collection need look at it, neither meanwhile nor later.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m quick` is what needs no server and no process but its own. What may take longest, and so has a timeout of its
    own, begins first: a run would wait for it at the end."""
    for item in items:
        if not _needs_more(item):
            item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def _needs_more(item: pytest.Item) -> bool:
    folders = item.path.relative_to(Path(__file__).parent).parts[:-1]
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = getattr(item, "callspec", None)
    return (
        not SLOW_FOLDERS.isdisjoint(folders)
        or not SERVERS.isdisjoint(fixtures)
        or (parameters is not None and parameters.params.get("database") == "postgres")
        or item.get_closest_marker("starts_processes") is not None
    )


def _refuse_processes(event: str, _: object) -> None:
    if event in STARTS and _running:
        raise RuntimeError("a quick test starts a process: mark it with starts_processes")


sys.addaudithook(_refuse_processes)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A quick test that starts a process fails."""
    if item.get_closest_marker("quick") is not None:
        _running.append(item)
    try:
        return (yield)
    finally:
        _running.clear()


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[Forks]:
    """Services, workers and commands are forked from a process that has imported what they import."""
    with contextlib.closing(Forks()) as forks, pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "spawn", forks.spawn)
        yield forks


@pytest.fixture
def started_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of the start itself, or of memory: each process is an interpreter of its own from the beginning."""
    monkeypatch.setattr(process, "spawn", spawn)


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


@pytest.fixture(scope="session")
def emptying(migrated: PostgresDatabase) -> Iterator[Emptying]:
    with contextlib.closing(Emptying(migrated)) as emptying:
        yield emptying


@pytest.fixture
def postgres(migrated: PostgresDatabase, emptying: Emptying) -> PostgresDatabase:
    """Empty, with the schema."""
    emptying.empty()
    return migrated


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the schema, to be copied: that is much faster than to migrate."""
    path = tmp_path_factory.mktemp("migrated") / "answerback.db"
    migrate_sqlite(path, busy_seconds=5)
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, path: Path) -> Database:
    """Each of the two in turn, with the schema."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres")
    shutil.copy(request.getfixturevalue("migrated_file"), path)
    return SqliteDatabase(path)


@pytest.fixture
def fallbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fallbacks]:
    """Fails a test whose store took a fallback that the test did not allow. A lock that a busy machine holds for longer
    than usual is none."""
    monkeypatch.setattr(runner, "SHORT_LOCK_TIMEOUT", LONG_LOCK_TIMEOUT + " ")
    made = Fallbacks()
    yield made
    assert not made.unexpected, "the database ran operations in a slower way"


@pytest.fixture
async def stores(database: Database, clock: FakeClock, fallbacks: Fallbacks) -> AsyncIterator[Stores]:
    opened = await database.open(clock, metrics=fallbacks)
    yield opened
    await opened.close()


@pytest.fixture
async def one(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[Stores]:
    """The stores of a process; `other` are those of another on the same PostgreSQL."""
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


@pytest.fixture
async def other(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[Stores]:
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


@pytest.fixture
async def link(redis_url: str, journal: Journal) -> AsyncIterator[Link]:
    """To a Redis of this test's own."""
    link = Link(redis_url, journal, UNMEASURED)
    yield link
    await link.close()


@pytest.fixture
async def provider(llm: FakeLLM) -> AsyncIterator[OpenAICompatible]:
    """Of the scripted LLM, on a wall clock that stands still."""
    made = OpenAICompatible(
        llm.base_url,
        "sk-secret",
        "house/model",
        connect_timeout=5,
        now=lambda: 1_750_000_000_000,
        heavy=HeavyWork(),
    )
    yield made
    await made.close()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No cycle is found meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
