"""A range scan: the newest rows of a key, or of many, along an index, however many rows there are of those and of other
keys."""

from collections.abc import Mapping, Sequence

from answerback.database.operation import Operation
from answerback.database.statement import Statement

FEW = 50
"""So many keys are read at once; of more first the newest row of each."""


def newest(
    table: str, keys: Sequence[str], last: str, where: str = "", *, compared: str, of: str = "text"
) -> Statement:
    """The distinct values of the text column `last` from the bound `least` on and below the bound `before`, the
    greatest first, of the rows whose `keys` equal their bound parameters; each is `last` of its row. An index over
    `keys` and `last` serves it, whatever `where` it has. `compared` is the text column that PostgreSQL's index asks
    for, see the schema. `of` is PostgreSQL's type of the first key."""
    first, *others = keys
    below = " AND ".join(
        (
            *([where] if where else []),
            *(f"{table}.{other} = :{other}" for other in others),
            f"{table}.{last} < :before AND {table}.{last} >= :least",
        )
    )
    plain = f"""
    SELECT DISTINCT {table}.{last} AS last FROM {table} WHERE {table}.{first} = :{first} AND {below}
    ORDER BY {table}.{last} DESC LIMIT :limit"""
    # By equal keys alone PostgreSQL would know that an index of `last` has the same order, and where it hopes for many
    # matches it would read that, past all other keys. Of an array it does not know that it has one element.
    ordered = f"""
    SELECT ordered.last FROM (
        SELECT DISTINCT {table}.{first}, {table}.{last} AS last FROM {table}
        WHERE {table}.{first} = ANY(ARRAY[CAST(:{first} AS {of})]) AND {below} AND {table}.{compared} > ''
        ORDER BY {table}.{first} DESC, {table}.{last} DESC LIMIT :limit
    ) AS ordered"""
    return Statement(lambda dialect: dialect.either(plain, ordered))


def merged(statement: Statement, keys: Sequence[Mapping[str, object]], before: str, limit: int) -> Operation[list[str]]:
    """Of all rows that a statement of `newest` finds under these keys, the newest."""
    least = ""
    if len(keys) > max(limit, FEW):
        heads = yield statement.each([{**key, "least": least, "before": before, "limit": 1} for key in keys])
        foremost = sorted(heads, key=lambda head: str(head[1].last), reverse=True)[:limit]
        # What is older than all of these is not among the newest.
        keys = [keys[place] for place, _ in foremost]
        least = foremost[-1][1].last if len(foremost) == limit else least
    found = yield statement.each([{**key, "least": least, "before": before, "limit": limit} for key in keys])
    return sorted((row.last for _, row in found), reverse=True)[:limit]
