"""Whether anything was written to the database: one look that costs less than to read what may have changed."""

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Statement

# SQLite's number belongs to its connection, and stands for what other connections have committed. That of PostgreSQL
# stands for the transactions that have begun and ended, of other databases of the server, too, and those that store its
# clock every two seconds.
VERSION = Statement(
    lambda dialect: dialect.either("PRAGMA data_version", "SELECT CAST(pg_current_snapshot() AS text) AS data_version")
)


def version(_: Transaction) -> Operation[str]:
    """For a connection that only reads: another text than before as soon as anything was committed in between."""
    (row,) = yield VERSION()
    return str(row.data_version)
