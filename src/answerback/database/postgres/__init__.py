"""PostgreSQL: any number of processes on one database, kept apart by row locks and conditional writes."""

from answerback.database.operation import Committed, Database
from answerback.database.postgres.connections import Connections, behind_a_pooler, connected
from answerback.database.postgres.runner import READ, WRITE, PostgresRunner
from answerback.database.postgres.schema import migrate, require_current
from answerback.kernel.clock import Clock
from answerback.kernel.telemetry import UNMEASURED, Metrics

__all__ = ["migrate", "open_database"]


async def open_database(
    dsn: str, clock: Clock | None = None, metrics: Metrics = UNMEASURED, committed: Committed | None = None
) -> Database:
    """The database at `dsn`; an empty one gets its schema. Time is the server's, unless a test passes a clock. Raises
    StorageUnavailable, also for a database that `answerback migrate` must migrate first."""
    async with connected(dsn) as connection:
        pooled = await behind_a_pooler(connection)
        await require_current(connection, dsn)
    connections = Connections(dsn, pooled=pooled)
    now = None if clock is None else clock.now
    write = PostgresRunner(connections, WRITE, now, metrics, committed)
    read = PostgresRunner(connections, READ, now, metrics)
    return Database(write, read, count=read)
