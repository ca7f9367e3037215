"""The secrets that sign what a tenant or an endpoint receives, in the database.

Each owner, a tenant's id or an endpoint's, has one current secret, made at its first use: no receiver of one owner can
forge what another owner receives. A replaced secret signs beside the current one for 24 hours. An endpoint's secrets go
with the endpoint.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from answerback.database.operation import Database, Operation, Transaction
from answerback.database.sql import inserting
from answerback.database.statement import Statement
from answerback.kernel.errors import Conflict, NotFound
from answerback.kernel.signature import new_secret
from answerback.webhooks.model import ENDPOINT

OVERLAP_MS = 24 * 3_600_000
"""How long a replaced secret signs beside the current one."""

MAX_LIVE = 8
"""How many secrets of one owner sign at most: each is a signature in a header, and receivers limit those."""

# Two processes that need an owner's first secret at once make one: the second waits, and finds that of the first. The
# lock conflicts with itself and with writers, not with readers.
LOCK = Statement("LOCK TABLE signing_secrets IN SHARE ROW EXCLUSIVE MODE", only_locks=True)
_IS_LIVE = "(expires_at IS NULL OR expires_at > :now)"
LIVE = Statement(
    f"""
    SELECT value, created_at, expires_at FROM signing_secrets WHERE owner = :owner AND {_IS_LIVE}
    ORDER BY id DESC LIMIT {MAX_LIVE}"""
)
ALL_LIVE = Statement(f"SELECT value FROM signing_secrets WHERE {_IS_LIVE}")
RETIRE = Statement("UPDATE signing_secrets SET expires_at = :retired_at WHERE owner = :owner AND expires_at IS NULL")
DELETE_ENDED = Statement("DELETE FROM signing_secrets WHERE owner = :owner AND (expires_at <= :now OR value = :value)")
FORGET = Statement("DELETE FROM signing_secrets WHERE owner = :owner")
FIND_ENDPOINT = Statement("SELECT id FROM webhook_endpoints WHERE id = :owner")
INSERT = Statement(inserting("signing_secrets", "owner", "value", "created_at"))


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """`value` is `whsec_` + base64 of 32 bytes, or what an operator configured. Times are epoch milliseconds;
    `expires_at` is None for the current secret."""

    value: str
    created_at: int
    expires_at: int | None


def live_secrets(tx: Transaction, owner: str) -> Operation[list[SigningSecret]]:
    """Those that sign now, the current one first."""
    rows = yield LIVE(owner=owner, now=tx.now)
    return [SigningSecret(row.value, row.created_at, row.expires_at and row.expires_at + tx.wall_ahead) for row in rows]


def all_live(tx: Transaction) -> Operation[list[str]]:
    """Whatever signs now, for any owner."""
    return [row.value for row in (yield ALL_LIVE(now=tx.now))]


def ensure_current(tx: Transaction, owner: str, configured: str | None) -> Operation[list[SigningSecret]]:
    """As `live_secrets`. Makes one if there is none. A `configured` secret that is not current becomes so; the replaced
    one signs 24 h more. Raises NotFound for an endpoint that was deleted."""
    yield LOCK()
    yield from _require(owner)
    live = yield from live_secrets(tx, owner)
    if is_current(live, configured):
        return live
    return (yield from _replace(tx, owner, configured or new_secret()))


def rotate(tx: Transaction, owner: str, *, overlap: bool = True) -> Operation[list[SigningSecret]]:
    """As `live_secrets`, after the current one was replaced by a new one. Without an `overlap` no other signs from now
    on. Raises NotFound for an endpoint that was deleted."""
    yield LOCK()
    yield from _require(owner)
    if not overlap:
        yield from forget(owner)
    return (yield from _replace(tx, owner, new_secret()))


def make_first(tx: Transaction, owner: str) -> Operation[str]:
    """The secret of an owner that this transaction creates."""
    value = new_secret()
    yield INSERT(owner=owner, value=value, created_at=tx.wall)
    return value


def forget(owner: str) -> Operation[None]:
    """Deletes all that sign for this owner."""
    yield FORGET(owner=owner)


def is_current(live: Sequence[SigningSecret], configured: str | None) -> bool:
    """Whether the newest secret is the `configured` one, or, for None, there is one."""
    return bool(live) and configured in (None, live[0].value)


def _require(owner: str) -> Operation[None]:
    if owner.startswith(ENDPOINT) and not (yield FIND_ENDPOINT(owner=owner)):
        raise NotFound(f"there is no webhook endpoint {owner!r}")


def _replace(tx: Transaction, owner: str, value: str) -> Operation[list[SigningSecret]]:
    yield RETIRE(owner=owner, retired_at=tx.now + OVERLAP_MS)
    # A configured secret may be one that was replaced before; it must not sign twice.
    yield DELETE_ENDED(owner=owner, now=tx.now, value=value)
    yield INSERT(owner=owner, value=value, created_at=tx.wall)
    return (yield from live_secrets(tx, owner))


class SigningSecrets:
    """The signing secrets of all owners, in the database. `configured` holds those that the settings fix, by their
    owners."""

    def __init__(self, database: Database, configured: Mapping[str, str] = MappingProxyType({})) -> None:
        self._database = database
        self._configured = configured
        self._rotations: Counter[str] = Counter()

    def rotations(self, owner: str) -> int:
        """How often this process has replaced the owner's secret: secrets read before the last time are out of date."""
        return self._rotations[owner]

    async def live(self, owner: str) -> Sequence[SigningSecret]:
        """Those that sign now, the current one first. Makes one if there is none. A configured secret that is not
        current becomes so; the replaced one signs 24 h more. Raises NotFound for an endpoint that was deleted,
        StorageUnavailable."""
        configured = self._configured.get(owner)
        live = await self._database.read.run(lambda tx: live_secrets(tx, owner))
        if is_current(live, configured):
            return live
        return await self._database.write.run(lambda tx: ensure_current(tx, owner, configured))

    async def all_live(self) -> Sequence[str]:
        """Whatever signs now, for any owner: for an operator who verifies callbacks of all tenants."""
        return await self._database.read.run(all_live)

    async def record(self) -> None:
        """Those that the settings fix, before any of them signs: one that is changed while deliveries are owed signs
        on beside the next, though it never signed. Raises StorageUnavailable."""
        for owner in self._configured:
            await self.live(owner)

    async def current(self, owner: str) -> str:
        """Raises as `live`."""
        return (await self.live(owner))[0].value

    async def rotate(self, owner: str) -> Sequence[SigningSecret]:
        """As `live`, after the current one was replaced; that signs on for 24 h. Raises Conflict for an owner whose
        secret the settings fix, and as `live`."""
        if owner in self._configured:
            raise Conflict("CALLBACK_HMAC_SECRET is set: change it and restart; the old one signs on for 24 hours")
        live = await self._database.write.run(lambda tx: rotate(tx, owner))
        self.replaced(owner)
        return live

    def replaced(self, owner: str) -> None:
        """Another room replaced the owner's secret."""
        self._rotations[owner] += 1
