"""API keys (hashed) and the secrets that sign callbacks."""

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, or_, select, text, update

from answerback.accounts.model import ApiKey
from answerback.database.operation import Database, Operation, Statement, Transaction
from answerback.database.tables import api_keys, secrets
from answerback.kernel.errors import NotFound
from answerback.kernel.ids import new_id
from answerback.webhooks.signature import new_secret

ROTATION_MS = 24 * 3_600_000
"""How long a replaced secret goes on signing beside the new one."""

_KEY_COLUMNS = (
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.key_hash,
    api_keys.c.created_at,
    api_keys.c.revoked_at,
    api_keys.c.rate_limit,
)

INSERT_KEY = Statement(
    insert(api_keys).values(
        id=bindparam("id"),
        name=bindparam("name"),
        key_hash=bindparam("key_hash"),
        created_at=bindparam("now"),
        rate_limit=bindparam("rate_limit"),
    )
)
LIST_KEYS = Statement(select(*_KEY_COLUMNS).order_by(api_keys.c.id))
REVOKE_KEY = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("row_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
    .returning(api_keys.c.id)
)
# Conflicts with itself and with writers, not with readers.
LOCK_SECRETS = Statement(text("LOCK TABLE secrets IN SHARE ROW EXCLUSIVE MODE"), only_locks=True)
LIVE_SECRETS = Statement(
    select(secrets.c.value)
    .where(or_(secrets.c.expires_at.is_(None), secrets.c.expires_at > bindparam("now")))
    .order_by(secrets.c.id.desc())
)
RETIRE_SECRETS = Statement(
    update(secrets).where(secrets.c.expires_at.is_(None)).values(expires_at=bindparam("retired_at"))
)
RETIRE_TWIN = Statement(update(secrets).where(secrets.c.value == bindparam("twin")).values(expires_at=bindparam("now")))
INSERT_SECRET = Statement(insert(secrets).values(value=bindparam("value"), created_at=bindparam("now")))


def create_key(tx: Transaction, name: str, key_hash: str, rate_limit: str | None) -> Operation[ApiKey]:
    key = ApiKey(new_id("key_", tx.now), name, key_hash, tx.now, None, rate_limit)
    yield INSERT_KEY(id=key.id, name=name, key_hash=key_hash, now=tx.now, rate_limit=rate_limit)
    return key


def list_keys(_: Transaction) -> Operation[list[ApiKey]]:
    return [ApiKey(*row) for row in (yield LIST_KEYS())]


def revoke_key(tx: Transaction, key_id: str) -> Operation[None]:
    if not (yield REVOKE_KEY(row_id=key_id, now=tx.now)):
        raise NotFound(f"there is no live key {key_id!r}")


def callback_secrets(tx: Transaction, configured: str | None) -> Operation[list[str]]:
    """The live secrets, newest first. A configured one that is not the newest takes over; the others go on for 24 h."""
    live = yield from _live(tx)
    if not _current(live, configured):
        # Processes that start together must not each make one: who comes second finds what the first made.
        yield LOCK_SECRETS()
        live = yield from _live(tx)
    if not _current(live, configured):
        yield from _replace(tx, configured or new_secret())
        live = yield from _live(tx)
    return live


def rotate_secret(tx: Transaction) -> Operation[str]:
    value = new_secret()
    yield LOCK_SECRETS()
    yield from _replace(tx, value)
    return value


def _live(tx: Transaction) -> Operation[list[str]]:
    return [row[0] for row in (yield LIVE_SECRETS(now=tx.now))]


def _current(live: Sequence[str], configured: str | None) -> bool:
    return bool(live) and configured in (None, live[0])


def _replace(tx: Transaction, value: str) -> Operation[None]:
    yield RETIRE_SECRETS(retired_at=tx.now + ROTATION_MS)
    yield RETIRE_TWIN(twin=value, now=tx.now)
    yield INSERT_SECRET(value=value, now=tx.now)


class AccountStore:
    """Keys and signing secrets, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def callback_secrets(self, configured: str | None) -> Sequence[str]:
        """The live signing secrets, newest first; makes, or rotates to, what is configured."""
        return await self._database.write.run(lambda tx: callback_secrets(tx, configured))

    async def rotate_secret(self) -> str:
        """The new secret; the others go on signing beside it for 24 h."""
        return await self._database.write.run(rotate_secret)

    async def create_key(self, name: str, key_hash: str, rate_limit: str | None = None) -> ApiKey:
        return await self._database.write.run(lambda tx: create_key(tx, name, key_hash, rate_limit))

    async def list_keys(self) -> Sequence[ApiKey]:
        return await self._database.read.run(list_keys)

    async def revoke_key(self, key_id: str) -> None:
        """Raises NotFound."""
        await self._database.write.run(lambda tx: revoke_key(tx, key_id))
