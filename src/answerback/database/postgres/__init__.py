"""PostgreSQL: any number of processes on one database, which keeps them apart by row locks and conditional writes."""

from answerback.database.operation import Database
from answerback.database.postgres.connections import Connections, behind_a_pooler, connected
from answerback.database.postgres.runner import READ, WRITE, PostgresRunner
from answerback.database.postgres.schema import migrate, require_current
from answerback.jobs.backlog import Backlog
from answerback.jobs.ports import Render
from answerback.jobs.store import SqlStore
from answerback.kernel.clock import Clock

__all__ = ["migrate", "open_postgres"]


async def open_postgres(dsn: str, render: Render, clock: Clock | None = None) -> SqlStore:
    """A store on the database at `dsn`; an empty one gets its schema. Time is the server's, unless a test brings a
    clock. Raises StorageUnavailable, also for a database that `answerback migrate` must see to first."""
    async with connected(dsn) as connection:
        pooled = await behind_a_pooler(connection)
        await require_current(connection, dsn)
    connections = Connections(dsn, pooled=pooled)
    backlog = Backlog()
    now = None if clock is None else clock.now
    write = PostgresRunner(connections, WRITE, now, backlog.committed)
    store = SqlStore(Database(write, PostgresRunner(connections, READ, now)), backlog, render)
    try:
        await store.count_open()
    except BaseException:
        await store.close()
        raise
    return store
