"""Who is calling, and whether it may call now: each key is a tenant with a rate of its own."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from answerback.accounts.model import ApiKey
from answerback.accounts.ratelimit import RateLimiter, address_of
from answerback.jobs.ports import Store
from answerback.kernel.clock import Clock
from answerback.kernel.errors import Misdirected, Unauthorized
from answerback.kernel.rate import Rate, parse_rate

DEFAULT_TENANT = "default"
"""The operator's own: whoever holds AUTH_TOKEN, and everyone where no key is asked for."""

FRESH_SECONDS = 1.0
"""How long a revoked key may still open the door."""


def new_key() -> str:
    """A fresh API key, shown once: 256 bits from the system's randomness."""
    return "ab_" + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is kept of a key: SHA-256 in hex, enough for a key of 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a key belongs to, and how often it may call; None for as often as it likes."""

    tenant_id: str
    rate: Rate | None


class Authenticator:
    """Knows the live keys. Where none was ever made, and with `disabled`, everyone is the default tenant. Without a
    `limiter` everyone may call as often as they like. `hosts` are names of this service besides the loopback's."""

    def __init__(
        self,
        store: Store,
        token: str | None,
        disabled: bool,
        clock: Clock,
        limiter: RateLimiter | None = None,
        hosts: Iterable[str] = (),
    ) -> None:
        self._store = store
        self._token_hash = hash_key(token) if token else None
        self._disabled = disabled
        self._clock = clock
        self._limiter = limiter
        self._hosts = frozenset(filter(None, map(_host, hosts)))
        self._callers: Mapping[str, Caller] = {}
        self._open = False
        self._fresh_until = float("-inf")

    async def tenant(self, request: Request) -> str:
        """The caller's tenant id; the request counts against its rate. Raises Unauthorized, RateLimited,
        StorageUnavailable."""
        limiter = self._limiter
        if limiter is None:
            return (await self._identify(request) or _ANYONE).tenant_id
        try:
            caller = await self._identify(request)
        except Unauthorized:
            # Guessing keys is limited too; a good key passes whatever its neighbours guess.
            await limiter.admit(request, "refused:" + address_of(request), limiter.default)
            raise
        if caller is None:
            await limiter.admit(request, "address:" + address_of(request), limiter.default)
            return DEFAULT_TENANT
        await limiter.admit(request, "key:" + caller.tenant_id, caller.rate)
        return caller.tenant_id

    async def check(self, request: Request) -> None:
        """As `tenant`, for what costs nothing and is not counted. Raises Unauthorized, StorageUnavailable."""
        await self._identify(request)

    async def _identify(self, request: Request) -> Caller | None:
        """None where no key is asked for."""
        if self._disabled:
            return None
        await self._refresh()
        if self._open:
            self._refuse_other_sites(request)
            return None
        given = request.headers.get("authorization", "").strip()
        scheme, _, rest = given.partition(" ")
        key = rest.strip() if scheme.lower() == "bearer" else given
        if not key:
            raise Unauthorized("this service asks for a key; send it as 'Authorization: Bearer <key>'")
        presented = hash_key(key)
        caller = None
        # Every hash is compared, each in constant time: the time taken tells nothing about any of them.
        for key_hash, owner in self._callers.items():
            if hmac.compare_digest(key_hash, presented):
                caller = owner
        if caller is None:
            raise Unauthorized("this key is not valid; check it, or ask the operator for a new one")
        return caller

    async def _refresh(self) -> None:
        if self._clock.monotonic() < self._fresh_until:
            return
        made = await self._store.list_keys()
        callers = {key.key_hash: Caller(key.id, self._rate_of(key)) for key in made if key.revoked_at is None}
        if self._token_hash is not None:
            callers[self._token_hash] = Caller(DEFAULT_TENANT, self._default_rate())
        self._callers = callers
        # Revoking the last key must not let in the very caller it was meant to keep out.
        self._open = not made and self._token_hash is None
        self._fresh_until = self._clock.monotonic() + FRESH_SECONDS

    def _refuse_other_sites(self, request: Request) -> None:
        """Without keys, being on this machine is the permission; a page of another site, in a browser here, has none.
        Not even one whose own name leads to this machine: browsers then take the service for a part of that site."""
        host = request.headers.get("host")
        if host is not None and (named := _host(host)) not in self._hosts and not _is_of_this_machine(named):
            raise Misdirected(
                "this service has no keys, so it answers as localhost only; make a key with 'answerback keys create', "
                "or set PUBLIC_BASE_URL to the address it is called by"
            )
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Unauthorized("this service has no keys, so pages of other sites may not call it; make a key for them")

    def _rate_of(self, key: ApiKey) -> Rate | None:
        return self._default_rate() if key.rate_limit is None else parse_rate(key.rate_limit)

    def _default_rate(self) -> Rate | None:
        return self._limiter.default if self._limiter is not None else None


def _host(authority: str) -> str:
    """The name or address in `host[:port]`, in lower case; empty for garbage."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_of_this_machine(host: str) -> bool:
    """An address of the loopback, or a name that RFC 6761 keeps for it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_ANYONE = Caller(DEFAULT_TENANT, None)
