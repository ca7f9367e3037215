"""Secrets that never leave the service, each made at its first use and kept."""

import secrets
from typing import Any

from sqlalchemy import ClauseElement, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from answerback.database.operation import Database, Operation, Statement, Transaction
from answerback.database.tables import own_secrets


def _keep(insert: Any) -> ClauseElement:
    fresh = insert(own_secrets).values(name=bindparam("name"), value=bindparam("value"), created_at=bindparam("now"))
    kept: ClauseElement = fresh.on_conflict_do_nothing(index_elements=[own_secrets.c.name])
    return kept


KEEP = Statement(_keep(sqlite.insert), postgresql=_keep(postgresql.insert))
FIND = Statement(select(own_secrets.c.value).where(own_secrets.c.name == bindparam("name")))


def own_secret(tx: Transaction, name: str) -> Operation[str]:
    """The secret of this name: 256 random bits in hex."""
    yield KEEP(name=name, value=secrets.token_hex(32), now=tx.now)
    return str((yield FIND(name=name))[0][0])


class ServiceSecrets:
    """Secrets that never leave the service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def own_secret(self, name: str) -> str:
        """A secret that never leaves the service: made at its first use, the same ever after."""
        return await self._database.write.run(lambda tx: own_secret(tx, name))
