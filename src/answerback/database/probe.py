"""Proving that the database takes writes: a row is written and taken back, which a full or locked disk refuses."""

from sqlalchemy import bindparam, delete, insert

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import signing_secrets

OWNER = ""
"""The id of no tenant and of no endpoint."""
WRITE = Statement(
    insert(signing_secrets).values(owner=OWNER, value=bindparam("value"), created_at=bindparam("wall"), expires_at=0)
)
ERASE = Statement(delete(signing_secrets).where(signing_secrets.c.owner == OWNER))

PAGES = "." * 16_384
"""More than fits into what a page has left, so that a full disk is noticed."""


def probe(tx: Transaction) -> Operation[None]:
    """No other transaction ever sees the row: it comes and goes in one."""
    yield WRITE(value=PAGES, wall=tx.wall)
    yield ERASE()
