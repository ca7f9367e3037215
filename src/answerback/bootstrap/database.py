"""The store that DATABASE_URL names."""

from types import ModuleType

from answerback.database.sqlite import open_sqlite
from answerback.jobs.callbacks import render
from answerback.jobs.store import SqlStore
from answerback.kernel.clock import SystemClock
from answerback.kernel.errors import StorageUnavailable
from answerback.settings import Settings


async def open_store(settings: Settings) -> SqlStore:
    """Raises StorageUnavailable."""
    if settings.database_path is None:
        store: SqlStore = await _postgres().open_postgres(settings.postgres_dsn, render)
        return store
    return await open_sqlite(settings.database_path, SystemClock(), render)


async def migrate(settings: Settings) -> None:
    """Brings the database to this version's schema. Raises StorageUnavailable."""
    if settings.database_path is None:
        await _postgres().migrate(settings.postgres_dsn)
    else:
        store = await open_store(settings)
        await store.close()


def _postgres() -> ModuleType:
    """Imported only when it is asked for: its driver is an extra."""
    try:
        from answerback.database import postgres
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise StorageUnavailable("PostgreSQL needs its driver: pip install 'answerback[postgres]'") from None
    return postgres
