"""Proving that the database takes writes: a row is written and deleted, which a full or locked disk refuses."""

import secrets

from answerback.database.operation import Operation, Transaction
from answerback.database.sql import inserting
from answerback.database.statement import Statement

WRITE = Statement(inserting("service_secrets", "name", "value", "created_at"))
ERASE = Statement("DELETE FROM service_secrets WHERE name = :name")
LOOK = Statement("SELECT 1 AS one")

PAGES = "." * 16_384
"""Larger than any page's free space: the write needs new pages, which a full disk refuses."""


def probe(tx: Transaction) -> Operation[None]:
    """The row is deleted in the same transaction, and its name is random: probes do not wait for each other."""
    name = f"probe-{secrets.token_hex(8)}"
    yield WRITE(name=name, value=PAGES, created_at=tx.wall)
    yield ERASE(name=name)


def look(_: Transaction) -> Operation[None]:
    """Writes nothing: that the transaction begins shows that the database answers and that no other holds its lock."""
    yield LOOK()
