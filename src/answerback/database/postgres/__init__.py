"""PostgreSQL: any number of processes on one database, kept apart by row locks and conditional writes."""

from answerback.database.operation import Committed, Database
from answerback.database.postgres.clock import PostgresClock
from answerback.database.postgres.connections import Connections, behind_a_pooler, connected
from answerback.database.postgres.runner import PostgresRunner
from answerback.database.postgres.schema import migrate, require_current
from answerback.database.postgres.session import READ, WRITE
from answerback.kernel.clock import Clock
from answerback.kernel.instruments import Instruments

__all__ = ["migrate", "open_database"]


async def open_database(
    dsn: str, instruments: Instruments, committed: Committed | None = None, server: Clock | None = None
) -> Database:
    """The database at `dsn`; an empty one gets its schema. `server` stands for the server's clock in tests. Raises
    StorageUnavailable, also for a database that `answerback migrate` must migrate first."""
    async with connected(dsn) as connection:
        pooled = await behind_a_pooler(connection)
        await require_current(connection, dsn)
    connections = Connections(dsn, pooled=pooled)
    clock = PostgresClock(instruments, server)
    await clock.follow(connections)
    write = PostgresRunner(connections, WRITE, clock, instruments.metrics, committed)
    read = PostgresRunner(connections, READ, clock, instruments.metrics)
    return Database(write, read, count=read)
