"""Tenants and their API keys in the database."""

from collections.abc import Mapping, Sequence

from answerback.accounts.model import DEFAULT_TENANT, ApiKey, KeyPage
from answerback.database.operation import Database, Operation, Transaction
from answerback.database.sql import columns_of, inserting
from answerback.database.statement import Row, Statement
from answerback.kernel.errors import Conflict, NotFound
from answerback.kernel.ids import new_id

DEFAULT_RATE = "default"
"""In the place of a key's own rate: that of the settings."""

WEIGH_TENANT = Statement(
    f"{inserting('tenants', 'id', 'weight', 'created_at')} ON CONFLICT (id) DO UPDATE SET weight = :weight"
)
FIND_TENANT = Statement("SELECT id, weight FROM tenants WHERE id = :given")
TENANTS_OF_KEY = Statement(
    "SELECT DISTINCT tenant_id FROM api_keys WHERE name = :given OR id = :given ORDER BY tenant_id"
)
WEIGHTS = Statement("SELECT id, weight FROM tenants WHERE weight > 1")
_STORED = ("id", "tenant_id", "name", "key_hash", "operator", "rate_limit", "created_at")
INSERT_KEY = Statement(inserting("api_keys", *_STORED))
_KEYS = f"""
    SELECT {columns_of("api_keys", (*_STORED, "last_used_at", "revoked_at"))}, coalesce(tenants.weight, 1) AS weight
    FROM api_keys LEFT JOIN tenants ON tenants.id = api_keys.tenant_id"""
LIST_KEYS = Statement(f"{_KEYS} ORDER BY api_keys.id")
NEWEST_KEYS = Statement(f"{_KEYS} ORDER BY api_keys.id DESC LIMIT :at_most")
OLDER_KEYS = Statement(f"{_KEYS} WHERE api_keys.id < :before ORDER BY api_keys.id DESC LIMIT :at_most")
FIND_LIVE_KEY = Statement(f"{_KEYS} WHERE api_keys.id = :row_id AND revoked_at IS NULL")
LIMIT_KEY = Statement("UPDATE api_keys SET rate_limit = :rate_limit WHERE id = :row_id")
NOTE_USE = Statement(
    """
    UPDATE api_keys SET last_used_at = :used_at
    WHERE id = :row_id AND (last_used_at IS NULL OR last_used_at < :used_at)"""
)
REVOKE_KEY = Statement("UPDATE api_keys SET revoked_at = :wall WHERE id = :row_id AND revoked_at IS NULL RETURNING id")


def create_key(
    tx: Transaction,
    name: str,
    key_hash: str,
    rate_limit: str | None,
    tenant: str | None,
    operator: bool,
    weight: int | None,
) -> Operation[ApiKey]:
    tenant_id = new_id("tnt_", tx.wall) if tenant is None else (yield from find_tenant(tx, tenant))
    if tenant is None or weight is not None:
        # The default tenant has no row before it is weighed.
        yield WEIGH_TENANT(id=tenant_id, weight=weight or 1, created_at=tx.wall)
    weighed = yield FIND_TENANT(given=tenant_id)
    now_weighs = weighed[0].weight if weighed else 1
    key = ApiKey(new_id("key_", tx.wall), tenant_id, name, key_hash, operator, rate_limit, now_weighs, tx.wall)
    yield INSERT_KEY(
        id=key.id,
        tenant_id=tenant_id,
        name=name,
        key_hash=key_hash,
        operator=int(operator),
        rate_limit=rate_limit,
        created_at=tx.wall,
    )
    return key


def weigh(tx: Transaction, tenant: str, weight: int) -> Operation[str]:
    tenant_id = yield from find_tenant(tx, tenant)
    yield WEIGH_TENANT(id=tenant_id, weight=weight, created_at=tx.wall)
    return tenant_id


def find_tenant(_: Transaction, given: str) -> Operation[str]:
    """The id of the tenant that has this id, or a key of this id or name, revoked or not."""
    if given == DEFAULT_TENANT or (yield FIND_TENANT(given=given)):
        return given
    found = [row.tenant_id for row in (yield TENANTS_OF_KEY(given=given))]
    if not found:
        raise NotFound(f"there is no tenant {given!r}, nor a key of this name")
    if len(found) > 1:
        raise Conflict(f"several tenants have a key named {given!r}; name one by its id: {', '.join(found)}")
    return str(found[0])


def require_tenant(_: Transaction, tenant_id: str) -> Operation[None]:
    if tenant_id != DEFAULT_TENANT and not (yield FIND_TENANT(given=tenant_id)):
        raise NotFound(f"there is no tenant {tenant_id!r}")


def list_keys(_: Transaction) -> Operation[list[ApiKey]]:
    return [_key(row) for row in (yield LIST_KEYS())]


def page_of_keys(_: Transaction, before: str | None, limit: int) -> Operation[KeyPage]:
    more = limit + 1
    found = NEWEST_KEYS(at_most=more) if before is None else OLDER_KEYS(at_most=more, before=before)
    keys = [_key(row) for row in (yield found)]
    return KeyPage(keys[:limit], keys[limit - 1].id if len(keys) > limit else None)


def weights(_: Transaction) -> Operation[dict[str, int]]:
    return {row.id: row.weight for row in (yield WEIGHTS())}


def note_use(_: Transaction, used: Mapping[str, int]) -> Operation[None]:
    # In one order, so that processes that write the same rows do not deadlock.
    yield NOTE_USE.many([{"row_id": key_id, "used_at": used[key_id]} for key_id in sorted(used)])


def change_key(tx: Transaction, key_id: str, rate_limit: str | None, weight: int | None) -> Operation[ApiKey]:
    key = yield from _live_key(key_id)
    if rate_limit is not None:
        yield LIMIT_KEY(row_id=key_id, rate_limit=None if rate_limit == DEFAULT_RATE else rate_limit)
    if weight is not None:
        yield WEIGH_TENANT(id=key.tenant_id, weight=weight, created_at=tx.wall)
    return (yield from _live_key(key_id))


def _live_key(key_id: str) -> Operation[ApiKey]:
    for row in (yield FIND_LIVE_KEY(row_id=key_id)):
        return _key(row)
    raise _no_live_key(key_id)


def _no_live_key(key_id: str) -> NotFound:
    return NotFound(f"there is no live key {key_id!r}")


def revoke_key(tx: Transaction, key_id: str) -> Operation[None]:
    if not (yield REVOKE_KEY(row_id=key_id, wall=tx.wall)):
        raise _no_live_key(key_id)


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        key_hash=row.key_hash,
        operator=bool(row.operator),
        rate_limit=row.rate_limit,
        weight=row.weight,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


class AccountStore:
    """Tenants and keys, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_key(
        self,
        name: str,
        key_hash: str,
        rate_limit: str | None = None,
        *,
        tenant: str | None = None,
        operator: bool = False,
        weight: int | None = None,
    ) -> ApiKey:
        """A key of the `tenant` that `find_tenant` finds, of a new one for None. `weight` becomes the tenant's, None
        leaves it as it is. Raises NotFound, Conflict."""
        return await self._database.write.run(
            lambda tx: create_key(tx, name, key_hash, rate_limit, tenant, operator, weight)
        )

    async def weigh(self, tenant: str, weight: int) -> str:
        """Sets the weight of the tenant that `find_tenant` finds; returns its id. Raises NotFound, Conflict."""
        return await self._database.write.run(lambda tx: weigh(tx, tenant, weight))

    async def find_tenant(self, given: str) -> str:
        """The id of the tenant that has this id, or a key of this id or name. Raises NotFound; Conflict where several
        have such a key."""
        return await self._database.read.run(lambda tx: find_tenant(tx, given))

    async def require_tenant(self, tenant_id: str) -> None:
        """Raises NotFound unless there is a tenant of this id."""
        await self._database.read.run(lambda tx: require_tenant(tx, tenant_id))

    async def list_keys(self) -> Sequence[ApiKey]:
        """All keys, the oldest first, revoked ones too."""
        return await self._database.read.run(list_keys)

    async def page_of_keys(self, before: str | None, limit: int) -> KeyPage:
        """The newest keys, revoked ones too; with `before` only those older than the key of this id."""
        return await self._database.read.run(lambda tx: page_of_keys(tx, before, limit))

    async def weights(self) -> Mapping[str, int]:
        """Of the tenants that weigh more than 1."""
        return await self._database.count.run(weights)

    async def note_use(self, used: Mapping[str, int]) -> None:
        """`used` says when, by the ids of keys; an earlier time than the one that is stored changes nothing."""
        await self._database.write.run(lambda tx: note_use(tx, used))

    async def change_key(self, key_id: str, rate_limit: str | None, weight: int | None) -> ApiKey:
        """Gives the key a rate, which may be `DEFAULT_RATE`, and its tenant a weight; None leaves it. Raises NotFound
        unless it is a live key."""
        return await self._database.write.run(lambda tx: change_key(tx, key_id, rate_limit, weight))

    async def revoke_key(self, key_id: str) -> None:
        """Raises NotFound unless it is a live key."""
        await self._database.write.run(lambda tx: revoke_key(tx, key_id))
