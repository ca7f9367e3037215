"""What PostgreSQL is sent for a statement: for one set of parameters, for one of many, or for a group of them at once.

The parameters of an `Update` or `Insert` are columns of a table expression, `given`: of one row, or of arrays. Most of
what a small statement costs the server is its beginning and end, which it then has only once for the whole group.
"""

from collections.abc import Mapping

from answerback.database.dialect import Dialect
from answerback.database.prepared import Prepared
from answerback.database.statement import Insert, Statement, Update

ORDINAL = "ordinal"
"""The column that says which of many sets of parameters a row belongs to."""


def plain(statement: Statement) -> Prepared:
    """For one set of parameters, or for each of many that return nothing."""
    clause = statement.clause(Dialect.POSTGRESQL)
    return _prepared(clause if isinstance(clause, str) else clause.on_postgresql(_one_row(statement.given)))


def numbered(statement: Statement) -> Prepared | None:
    """For each of many sets of parameters, with the ordinal bound and returned as the last column. None if it returns
    nothing."""
    clause = statement.clause(Dialect.POSTGRESQL)
    text = clause if isinstance(clause, str) else clause.on_postgresql(_one_row(statement.given))
    ordinal = f"CAST(:{ORDINAL} AS integer) AS {ORDINAL}"
    if "RETURNING" in text:
        return _prepared(f"{text}, {ordinal}")
    if statement.only_locks or not text.lstrip().startswith(("SELECT", "WITH")):
        return None
    return _prepared(f"SELECT found.*, {ordinal} FROM ({text}) AS found")


def of_group(statement: Statement) -> Prepared:
    """For many sets of parameters at once, each parameter an array. An `Update` returns the ordinal as its last
    column."""
    clause = statement.clause(Dialect.POSTGRESQL)
    match clause:
        case str():
            raise TypeError("a statement that is to run for a group is an Update or an Insert")
        case Update():
            text = clause.on_postgresql(_rows({**statement.given, ORDINAL: "integer"}), f", given.{ORDINAL}")
        case Insert():
            text = clause.on_postgresql(_rows(statement.given))
    return _prepared(text)


def _one_row(types: Mapping[str, str]) -> str:
    return "SELECT " + ", ".join(f"CAST(:{name} AS {of}) AS {name}" for name, of in types.items())


def _rows(types: Mapping[str, str]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {of}[])" for name, of in types.items())
    return f"SELECT * FROM unnest({arrays}) AS given({', '.join(types)})"


def _prepared(text: str) -> Prepared:
    return Prepared(text, lambda number: f"${number}", repeated=False)
