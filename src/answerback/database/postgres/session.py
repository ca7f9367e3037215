"""The settings of a transaction. They are set anew in each: behind a pooler, a session is shared with other clients."""

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


def _set(lock_timeout: str) -> str:
    """Applies the settings; returns the server's time in epoch milliseconds in the first column."""
    settings = {**SETTINGS, "lock_timeout": lock_timeout}
    values = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, {values}"  # noqa: S608 (constants)


NO_LOCK_TIMEOUT = _set("0")
SHORT_LOCK_TIMEOUT = _set("500ms")
"""For a group: a lock that one of its operations waits for must not hold up the others."""
LONG_LOCK_TIMEOUT = _set("5s")
"""For an operation that hit the short timeout alone, too."""
