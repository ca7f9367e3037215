"""Proving that the database takes writes: a row is written and taken back, which a full or locked disk refuses."""

from sqlalchemy import bindparam, delete, insert

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import secrets

WRITE = Statement(insert(secrets).values(value=bindparam("value"), created_at=bindparam("now"), expires_at=0))
ERASE = Statement(delete(secrets).where(secrets.c.value == bindparam("value")))

PAGES = "." * 16_384
"""More than fits into what a page has left, so that a full disk is noticed."""


def probe(tx: Transaction) -> Operation[None]:
    """Nobody else ever sees the row: it comes and goes in one transaction."""
    yield WRITE(value=PAGES, now=tx.now)
    yield ERASE(value=PAGES)
