"""The store on the database that DATABASE_URL names."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

from answerback.database import sqlite
from answerback.database.operation import Committed, Database
from answerback.jobs.backlog import Backlog
from answerback.jobs.callbacks import render
from answerback.jobs.ports import Render
from answerback.jobs.store import SqlStore
from answerback.kernel.clock import Clock, SystemClock
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.settings import Settings


async def open_store(settings: Settings, metrics: Metrics = UNMEASURED) -> SqlStore:
    """Raises StorageUnavailable."""
    if settings.database_path is None:
        return await open_postgres(settings.postgres_dsn, render, metrics=metrics)
    return await open_sqlite(settings.database_path, SystemClock(), render, metrics)


async def open_sqlite(path: Path, clock: Clock, render: Render, metrics: Metrics = UNMEASURED) -> SqlStore:
    """Raises StorageUnavailable."""
    return await _store(lambda committed: sqlite.open_database(path, clock, metrics, committed), render)


async def open_postgres(
    dsn: str, render: Render, clock: Clock | None = None, metrics: Metrics = UNMEASURED
) -> SqlStore:
    """Raises StorageUnavailable."""
    return await _store(lambda committed: _postgres().open_database(dsn, clock, metrics, committed), render)


async def migrate(settings: Settings) -> None:
    """Brings the database to this version's schema. Raises StorageUnavailable."""
    if settings.database_path is None:
        await _postgres().migrate(settings.postgres_dsn)
    else:
        store = await open_store(settings)
        await store.close()


async def _store(open_database: Callable[[Committed], Awaitable[Database]], render: Render) -> SqlStore:
    backlog = Backlog()
    store = SqlStore(await open_database(backlog.committed), backlog, render)
    try:
        await store.count_open()
    except BaseException:
        await store.close()
        raise
    return store


def _postgres() -> ModuleType:
    """Imported only when it is needed: its driver is an extra."""
    try:
        from answerback.database import postgres
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise StorageUnavailable("PostgreSQL needs its driver: pip install 'answerback[postgres]'") from None
    return postgres
