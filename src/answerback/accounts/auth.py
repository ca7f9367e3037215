"""Identifying the caller of a request by its key, and counting the request against the key's rate."""

import asyncio
import hmac
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from answerback.accounts.key_use import KeyUses
from answerback.accounts.model import DEFAULT_TENANT, ApiKey, Caller, hash_key
from answerback.accounts.ratelimit import RateLimiter, address_of
from answerback.accounts.session_cookie import key_of_cookie, reads_for_a_page
from answerback.accounts.store import AccountStore
from answerback.http.caller import note_operator
from answerback.http.headers import header, is_of_host
from answerback.kernel.clock import Clock
from answerback.kernel.errors import Forbidden, Misdirected, Unauthorized
from answerback.kernel.rate import Rate, parse_rate

FRESH_SECONDS = 1.0
"""How long keys that were read may be used: a key revoked in another process is refused within that."""

PAGE_RATE = Rate(50, 1)
"""Of what this service's own pages read for one key: a page reads many lists, and asks no LLM by that."""

INDEXED = 16
"""How many digits of a hash are looked up; then all are compared, in constant time."""

_FORWARDED = frozenset({"x-forwarded-for", "x-real-ip", "forwarded", "via"})
"""Headers that only a proxy adds."""

_OTHER_SITES = frozenset({"cross-site", "same-site"})

ASKS_FOR_TENANT = "only operators may ask for a tenant"

_NOBODY: tuple[str, None] = ("", None)


class Authenticator:
    """Knows the live keys. `token` and `operator_token` are two more, of the default tenant. Where there never was a
    key, this machine's callers are operators; with `disabled`, every caller is the default tenant. `hosts` are names of
    this service besides the loopback's. `proxies` are networks of proxies that name their callers' addresses."""

    def __init__(
        self,
        store: AccountStore,
        limiter: RateLimiter,
        clock: Clock,
        uses: KeyUses,
        *,
        token: str | None = None,
        operator_token: str | None = None,
        disabled: bool = False,
        hosts: Iterable[str] = (),
        proxies: Sequence[IPv4Network | IPv6Network] = (),
    ) -> None:
        self._store = store
        self._limiter = limiter
        self._clock = clock
        self._uses = uses
        self._disabled = disabled
        self._proxies = proxies
        self._hosts = frozenset(filter(None, map(_host, hosts)))
        self._of_settings = {
            hash_key(given): Caller(DEFAULT_TENANT, setting, operator, limiter.default, setting)
            for setting, given, operator in (("AUTH_TOKEN", token, False), ("OPERATOR_TOKEN", operator_token, True))
            if given is not None
        }
        self._live: Mapping[str, tuple[str, Caller]] = {}
        self._keyless = False
        self._fresh_until = float("-inf")
        self._reading = asyncio.Lock()

    async def caller(self, request: Request, asked: str | None = None) -> Caller:
        """The caller; the request counts against its rate. `asked` is the tenant that `?tenant=` names, which only
        operators may use. Raises Unauthorized, Misdirected, RateLimited, StorageUnavailable; Forbidden."""
        caller = await self._identified(request)
        name, rate = _counted(request, caller), caller.rate
        if rate is not None and reads_for_a_page(request):
            name, rate = "page:" + name, PAGE_RATE
        await self._limiter.admit(request, name, rate)
        if caller.operator:
            note_operator(request)
        if asked is not None:
            _require_operator(caller, ASKS_FOR_TENANT)
        return caller

    async def count_calls(self, request: Request, caller: Caller, calls: int) -> None:
        """Counts the calls that a request makes against its caller's rate; itself it was counted as the first. Raises
        RateLimited."""
        await self._limiter.admit(request, _counted(request, caller), caller.rate, calls - 1)

    async def tenant(self, request: Request) -> str:
        """The caller's tenant id; otherwise as `caller`."""
        return (await self.caller(request)).tenant_id

    async def polling_caller(self, request: Request, asked: str | None = None) -> Caller:
        """As `caller`, for what clients ask for again and again: it does not count. Raises Forbidden where another is
        `asked` for than an operator may."""
        caller = await self._identified(request)
        if asked is not None:
            _require_operator(caller, ASKS_FOR_TENANT)
        return caller

    async def polling_tenant_or_asked(self, request: Request, asked: str | None) -> str:
        """As `tenant_or_asked`, by `polling_caller`."""
        caller = await self.polling_caller(request, asked)
        return asked or caller.tenant_id

    async def polling_tenant(self, request: Request) -> str:
        """The tenant id of `polling_caller`."""
        return (await self.polling_caller(request)).tenant_id

    async def operator(self, request: Request) -> Caller:
        """As `caller`. Raises Forbidden unless it is an operator."""
        caller = await self.caller(request)
        _require_operator(caller, "this is for operators")
        return caller

    async def tenant_or_asked(self, request: Request, asked: str | None) -> str:
        """The tenant of a list: the one that `?tenant=` names, which only operators may use, else the caller's. Raises
        Forbidden, and as `caller`."""
        caller = await self.caller(request, asked)
        return caller.tenant_id if asked is None else asked

    async def known_tenant_or_asked(self, request: Request, asked: str | None) -> str:
        """As `tenant_or_asked`, for what would store something for a tenant that is none. Raises NotFound."""
        tenant_id = await self.tenant_or_asked(request, asked)
        if asked is not None:
            await self._store.require_tenant(asked)
        return tenant_id

    async def check(self, request: Request) -> Caller:
        """As `caller`, for requests that are not counted."""
        return await self._identify(request)

    def forget(self) -> None:
        """Lets the next request read the keys anew, after they were changed in this process."""
        self._fresh_until = float("-inf")

    async def _identified(self, request: Request) -> Caller:
        try:
            return await self._identify(request)
        except Unauthorized:
            # Guessing keys is limited too, and takes nothing from the rate of a valid key at the same address.
            await self._limiter.admit(request, "refused:" + address_of(request), self._limiter.default)
            raise

    async def _identify(self, request: Request) -> Caller:
        if self._disabled:
            return Caller(DEFAULT_TENANT, None, operator=False, rate=self._limiter.default)
        if not self._is_fresh():
            await self._refresh()
        if self._keyless:
            self.refuse_other_sites(request)
            operator = self._is_on_this_machine(request)
            return Caller(DEFAULT_TENANT, None, operator=operator, rate=self._limiter.default)
        given = header(request, b"authorization")
        key = key_of_cookie(request) if given is None else key_in(given)
        if not key:
            raise Unauthorized("this service asks for a key; send it as 'Authorization: Bearer <key>'")
        presented = hash_key(key)
        key_hash, caller = self._live.get(presented[:INDEXED], _NOBODY)
        if caller is None or not hmac.compare_digest(key_hash, presented):
            raise Unauthorized("this key is not valid; check it, or ask the operator for a new one")
        if caller.key_id is not None:
            self._uses.seen(caller.key_id)
        return caller

    async def _refresh(self) -> None:
        async with self._reading:
            if self._is_fresh():
                return
            fresh_until = self._clock.monotonic() + FRESH_SECONDS
            keys = await self._store.list_keys()
            live = {key.key_hash: self._caller_of(key) for key in keys if key.revoked_at is None} | self._of_settings
            self._live = {key_hash[:INDEXED]: (key_hash, caller) for key_hash, caller in live.items()}
            # Revoking the last key must not let in the very caller it was meant to keep out.
            self._keyless = not keys and not self._of_settings
            self._fresh_until = fresh_until

    def _is_fresh(self) -> bool:
        return self._clock.monotonic() < self._fresh_until

    def _caller_of(self, key: ApiKey) -> Caller:
        rate = self._limiter.default if key.rate_limit is None else parse_rate(key.rate_limit)
        return Caller(key.tenant_id, key.id, key.operator, rate, key.name)

    def refuse_other_sites(self, request: Request) -> None:
        """Without keys, every caller on this machine is let in, but no page of another site that a browser here shows.
        Not even one whose name resolves to this machine: browsers then take the service for a part of that site. Raises
        Misdirected, Unauthorized."""
        host = request.headers.get("host")
        if host is not None and (named := _host(host)) not in self._hosts and not _is_of_this_machine(named):
            raise Misdirected(
                "this service has no keys, so it answers as localhost only; make a key with 'answerback keys create', "
                "or set PUBLIC_BASE_URL to the address it is called by"
            )
        origin = request.headers.get("origin")
        if _is_of_another_page(request) or (origin is not None and not is_of_host(origin, host)):
            raise Unauthorized("this service has no keys, so pages of other sites may not call it; make a key for them")

    def _is_on_this_machine(self, request: Request) -> bool:
        """Whether the caller's address and the `Host` header are this machine's. Behind a proxy that is not trusted,
        whose address stands for its callers', nobody is."""
        address = request.client.host if request.client else ""
        if not _FORWARDED.isdisjoint(request.headers.keys()) and not self._is_proxy(address):
            return False
        return _is_of_this_machine(address) and _is_of_this_machine(_host(request.headers.get("host", "")))

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


def _is_of_another_page(request: Request) -> bool:
    """Whether a browser says that a page of another origin asks, as for an image, with which it sends no `Origin`. A
    link that its user followed is none of these."""
    site, shown = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-dest")
    return site in _OTHER_SITES and shown != "document"


def key_in(authorization: str) -> str:
    """The key in an `Authorization` header, with or without the word Bearer."""
    given = authorization.strip()
    scheme, _, rest = given.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else given


def _counted(request: Request, caller: Caller) -> str:
    """The name under which requests are counted."""
    return "address:" + address_of(request) if caller.key_id is None else "key:" + caller.key_id


def _require_operator(caller: Caller, reason: str) -> None:
    if not caller.operator:
        raise Forbidden(f"{reason}; use a key of 'answerback keys create --operator', or OPERATOR_TOKEN")


def _host(authority: str) -> str:
    """The name or address in `host[:port]`, in lower case; empty for garbage."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_of_this_machine(host: str) -> bool:
    """Whether it is a loopback address, or a name that RFC 6761 reserves for one."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
