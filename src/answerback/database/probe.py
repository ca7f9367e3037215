"""Proving that the database takes writes: a row is written and deleted, which a full or locked disk refuses."""

import secrets

from sqlalchemy import bindparam, delete, insert, literal_column, select

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import parameters
from answerback.database.tables import service_secrets

WRITE = Statement(insert(service_secrets).values(parameters(service_secrets)))
ERASE = Statement(delete(service_secrets).where(service_secrets.c.name == bindparam("row_name")))
LOOK = Statement(select(literal_column("1").label("one")))

PAGES = "." * 16_384
"""Larger than any page's free space: the write needs new pages, which a full disk refuses."""


def probe(tx: Transaction) -> Operation[None]:
    """The row is deleted in the same transaction, and its name is random: probes do not wait for each other."""
    name = f"probe-{secrets.token_hex(8)}"
    yield WRITE(name=name, value=PAGES, created_at=tx.wall)
    yield ERASE(row_name=name)


def look(_: Transaction) -> Operation[None]:
    """Writes nothing: that the transaction begins shows that the database answers and that no other holds its lock."""
    yield LOOK()
