"""Secrets that never leave the service, each made at its first use and kept."""

import secrets

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from answerback.storage.operation import Operation, Statement, Transaction
from answerback.storage.tables import own_secrets

KEEP = Statement(
    insert(own_secrets)
    .values(name=bindparam("name"), value=bindparam("value"), created_at=bindparam("now"))
    .on_conflict_do_nothing(index_elements=[own_secrets.c.name])
)
FIND = Statement(select(own_secrets.c.value).where(own_secrets.c.name == bindparam("name")))


def own_secret(tx: Transaction, name: str) -> Operation[str]:
    """The secret of this name: 256 random bits in hex."""
    yield KEEP(name=name, value=secrets.token_hex(32), now=tx.now)
    return str((yield FIND(name=name))[0][0])
