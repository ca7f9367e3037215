"""Deleting what is old, a batch at a time: no transaction may take long."""

from answerback.database.statement import Statement


def pruning(table: str, since: str, most: int, where: str = "true", key: str = "id") -> Statement:
    """Deletes the rows whose time `since` lies before the bound `before`, the oldest first. Returns their keys: `key`
    names the columns of the primary key."""
    old = f"SELECT {key} FROM {table} WHERE {since} < :before AND {where} ORDER BY {since} LIMIT {most}"
    return Statement(f"DELETE FROM {table} WHERE ({key}) IN ({old}) RETURNING {key}")
