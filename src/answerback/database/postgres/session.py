"""The settings of a session or, behind a pooler, where a session is shared with other clients, of each transaction."""

from typing import Any

SETTINGS = {
    # Whatever the server's default: a commit is on its disk.
    "synchronous_commit": "on",
    # A statement that hangs, or a transaction whose client has vanished, releases its locks by itself.
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "20s",
    # Neither covers a client that vanished in the middle of a batch: its server process waits for the rest, with its
    # locks, until the server's kernel gives the connection up, by default after hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_user_timeout": "20s",
    # Every statement has an index made for it. By default the planner may read a table whole because it was empty when
    # last analyzed, plan each execution anew, and compile for longer than the statement runs.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


IN_TRANSACTION = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SETTINGS.items())
"""Applies the settings to the transaction alone."""


async def with_types(connection: Any) -> Any:
    """The connection, which has looked up the types that statements need. For that asyncpg turns "jit" off and back in
    the session, which must not be where a transaction has set it: it would stay off."""
    await connection.execute("BEGIN")
    await connection.fetch("SELECT $1::text[], $2::bigint[], $3::integer[], $4::bytea[]", [], [], [], [])
    await connection.execute("ROLLBACK")
    return connection


WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""One snapshot: everything that an operation reads is of the same moment."""

SERVER_TIME = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
"""In epoch milliseconds."""


def _begun(lock_timeout: str) -> str:
    """The first statement of a transaction: returns the server's time in the first column."""
    return f"SELECT {SERVER_TIME}, set_config('lock_timeout', '{lock_timeout}', true)"


NO_LOCK_TIMEOUT = _begun("0")
SHORT_LOCK_TIMEOUT = _begun("500ms")
"""For a group: a lock that one of its operations waits for must not hold up the others."""
LONG_LOCK_TIMEOUT = _begun("5s")
"""For an operation that hit the short timeout alone, too."""
