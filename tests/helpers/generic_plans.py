"""PostgreSQL's generic plan of a hot statement, which does not depend on its parameters."""

from typing import Any

from answerback.database.postgres.at_once import at_once
from answerback.database.postgres.driver import DIALECT
from hot_statements import HOT

DUMMIES = {"VARCHAR": "''", "TEXT": "''", "BIGINT": "1", "INTEGER": "1", "BYTEA": "''", "JSONB": "'[]'"}


AT_ONCE = [name for name, statement in HOT.items() if statement.key]
"""Those that run at once for a group."""


async def plan(connection: Any, name: str, *, of_group: bool = False) -> str:
    """Prepares the statement in the connection's transaction: once each."""
    clause = HOT[name].postgresql
    compiled = (at_once(clause, DIALECT) if of_group else clause).compile(dialect=DIALECT)
    types = {name: str(bind.type.dialect_impl(DIALECT)) for bind, name in compiled.bind_names.items()}  # type: ignore[attr-defined]
    values = [DUMMIES.get(types[name], "NULL") for name in compiled.positiontup]  # type: ignore[attr-defined]
    await connection.execute(f"PREPARE hot AS {compiled}")
    arguments = f"({', '.join(values)})" if values else ""
    return "\n".join(line for (line,) in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE hot{arguments}"))
