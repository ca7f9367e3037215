"""The database that DATABASE_URL names."""

from types import ModuleType

from answerback.database import sqlite
from answerback.database.operation import Committed, Database
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.settings import Settings


async def open_database(settings: Settings, instruments: Instruments, committed: Committed | None = None) -> Database:
    """`committed` is called with each transaction that committed. Raises StorageUnavailable."""
    if settings.database_path is None:
        database: Database = await _postgres().open_database(settings.postgres_dsn, instruments, committed)
        return database
    return await sqlite.open_database(settings.database_path, instruments.clock, instruments.metrics, committed)


async def migrate(settings: Settings, instruments: Instruments) -> None:
    """Brings the database to this version's schema. Raises StorageUnavailable."""
    if settings.database_path is None:
        await _postgres().migrate(settings.postgres_dsn)
    else:
        await (await open_database(settings, instruments)).close()


def _postgres() -> ModuleType:
    """Imported only when it is needed: its driver is an extra."""
    try:
        from answerback.database import postgres
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise StorageUnavailable("PostgreSQL needs its driver: pip install 'answerback[postgres]'") from None
    return postgres
