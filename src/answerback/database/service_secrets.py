"""Secrets that never leave the service, each made at its first use and stored."""

import hashlib
import hmac
import secrets

from answerback.database.operation import Database, Operation, Transaction
from answerback.database.sql import inserting
from answerback.database.statement import Statement

INSERT = Statement(f"{inserting('service_secrets', 'name', 'value', 'created_at')} ON CONFLICT (name) DO NOTHING")
FIND = Statement("SELECT value FROM service_secrets WHERE name = :name")


def own_secret(tx: Transaction, name: str) -> Operation[str]:
    """The secret of this name: 256 random bits in hex."""
    yield INSERT(name=name, value=secrets.token_hex(32), created_at=tx.wall)
    (found,) = yield FIND(name=name)
    return str(found.value)


class ServiceSecrets:
    """Secrets of the service's own, each read once, such as the key under which it names things in a shared Redis."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: dict[str, bytes] = {}

    async def code(self, name: str, message: bytes) -> bytes:
        """The message's HMAC-SHA256 under the secret of this name: the same ever after, in every process on the
        database. Raises StorageUnavailable."""
        if name not in self._read:
            self._read[name] = bytes.fromhex(await self._database.write.run(lambda tx: own_secret(tx, name)))
        return hmac.digest(self._read[name], message, hashlib.sha256)
