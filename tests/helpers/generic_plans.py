"""PostgreSQL's generic plan of a hot statement, which does not depend on its parameters."""

from typing import Any

from answerback.database.postgres import texts
from hot_statements import HOT

DUMMIES = {"text": "''", "bigint": "1", "integer": "1", "bytea": "''", "jsonb": "'[]'"}


AT_ONCE = [name for name, statement in HOT.items() if statement.key]
"""Those that run at once for a group."""


async def plan(connection: Any, name: str, *, of_group: bool = False) -> str:
    """Prepares the statement in the connection's transaction: once each."""
    prepared = texts.of_group(HOT[name]) if of_group else texts.plain(HOT[name])
    await connection.execute(f"PREPARE hot AS {prepared.text}")
    types = "SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'hot'"
    values = [DUMMIES.get(of, "NULL") for (of,) in await connection.fetch(types)]
    arguments = f"({', '.join(values)})" if values else ""
    return "\n".join(line for (line,) in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE hot{arguments}"))
