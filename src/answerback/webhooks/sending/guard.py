"""The guard before every callback: once when a job is accepted, and again at each connection.

The first is a courtesy to the client, which learns at once why an address cannot be called; it is remembered for a
while, and a name may point elsewhere by the time of the callback. The second is the protection: its verdict is never
remembered, and the connection goes to the very address that was judged.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from answerback.kernel.errors import CallbackRefused
from answerback.kernel.shares import SLOT_FACTOR
from answerback.webhooks.sending.addresses import (
    LOOPBACK,
    AddressPolicy,
    ForbiddenAddressError,
    Network,
    OwnAddressError,
)
from answerback.webhooks.sending.lookup import Requester, SystemLookup
from answerback.webhooks.sending.urls import Target, authority, is_localhost, is_metadata, target

Resolve: TypeAlias = Callable[[str, Requester], Awaitable[Sequence[str]]]
"""Every address of a host name, looked up for somebody. Raises OSError for a name without one."""

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")
LOOKUP_SECONDS = 2.0
REMEMBER_SECONDS = 30.0
"""How long the verdict on a host is remembered."""
MAX_REMEMBERED = 4096
REMEDY = "an operator can open networks with CALLBACK_ALLOWED_NETWORKS"

NO_INBOX = "callback_url leads to this service itself, and is no inbox: send the url that POST /v1/inbox answers"


@dataclass(frozen=True, slots=True)
class _Verdict:
    refusal: str | None
    until: float


class Inboxes(Protocol):
    """The one place of this service where it delivers to itself, without a connection."""

    def is_address(self, url: str) -> bool:
        """Whether it is an inbox's, by its form."""

    async def exists(self, url: str) -> bool:
        """Whether it is an inbox's. Raises StorageUnavailable."""

    def is_own(self, url: str) -> bool:
        """Whether it leads to this service's inboxes, however it is spelt."""


class AddressGuard:
    """Judges URLs before they are accepted, and every connection of a `WebhookSender`.

    `allowed_networks` are open besides the public internet; `allow_loopback` opens 127.0.0.0/8 and ::1, for a service
    that itself listens on loopback only. `own_port`, where the service listens, is closed at loopback and `own_host`.
    Addresses of `inboxes` pass, because what is sent there needs no connection. `resolve` is asked for host names, by
    default the system's resolver, whose threads tenants share by `slot_factor`; `monotonic` is asked for seconds.
    """

    def __init__(
        self,
        allowed_networks: Sequence[Network] = (),
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        slot_factor: float = SLOT_FACTOR,
        own_port: int | None = None,
        own_host: str = "",
        inboxes: Inboxes | None = None,
    ) -> None:
        self._policy = AddressPolicy((*allowed_networks, *(LOOPBACK if allow_loopback else ())), own_port, own_host)
        self._lookup: SystemLookup | None = None
        if resolve is None:
            resolve = self._lookup = SystemLookup(slot_factor)
        self._resolve: Resolve = resolve
        self._monotonic = monotonic
        self._inboxes = inboxes
        self._verdicts: OrderedDict[tuple[str, str], _Verdict] = OrderedDict()
        self._judging: dict[tuple[str, str, str], asyncio.Task[str | None]] = {}

    async def check(self, url: str, tenant_id: str = "") -> None:
        """Raises CallbackRefused, saying why. A name that cannot be looked up in time, the tenant's turn included,
        passes."""
        if self._inboxes is not None and await self._inboxes.exists(url):
            return
        key = authority(url)
        verdict = self._verdicts.get(key)
        if verdict is not None and verdict.until > self._monotonic():
            refusal = verdict.refusal
        else:
            refusal = await self._judge_once(key, target(*key), tenant_id)
        if refusal is not None:
            raise CallbackRefused(refusal)
        if self._inboxes is not None and self._inboxes.is_own(url):
            raise CallbackRefused(NO_INBOX)

    def check_form(self, url: str) -> None:
        """Checks only how the URL is written. Raises CallbackRefused."""
        key = authority(url)
        if key not in self._verdicts:
            target(*key)

    def check_unresolved(self, url: str) -> None:
        """As `check`, but without resolving a name: checks how the URL is written, literal addresses, and well-known
        names. Raises CallbackRefused."""
        if self._inboxes is not None and self._inboxes.is_address(url):
            return
        where = target(*authority(url))
        try:
            self._verify_unresolved(where)
        except ForbiddenAddressError as error:
            raise CallbackRefused(_words(where, error)) from None

    def verify(self, address: str, port: int | None = None) -> None:
        """Judges the address of a connection about to be made. Raises ForbiddenAddressError."""
        self._policy.verify(address, port)

    async def addresses(self, host: str, requester: Requester, port: int | None = None) -> Sequence[str]:
        """Every address of a host, each of them judged now.

        Raises ForbiddenAddressError if any of them may not be called, OSError for a name without addresses.
        """
        self._verify_unresolved(Target(host, literal=False, port=port))
        if is_localhost(host):
            return LOOPBACK_ADDRESSES
        found = await self._resolve(host, requester)
        for address in found:
            self._policy.verify(address, port)
        if not found:
            raise OSError("the name has no address")
        return found

    async def close(self) -> None:
        """Cancels the lookups under way."""
        for task in self._judging.values():
            task.cancel()
        await asyncio.gather(*self._judging.values(), return_exceptions=True)
        if self._lookup is not None:
            self._lookup.close()

    async def _judge_once(self, key: tuple[str, str], where: Target, tenant_id: str) -> str | None:
        # Each tenant's lookup is its own: one that joined another's would wait for its turn.
        asked = (tenant_id, *key)
        task = self._judging.get(asked)
        if task is None:
            task = self._judging[asked] = asyncio.create_task(self._judge(key, where, tenant_id))
            task.add_done_callback(lambda _: self._judging.pop(asked))
        # One caller giving up must not end the lookup that others wait for.
        return await asyncio.shield(task)

    async def _judge(self, key: tuple[str, str], where: Target, tenant_id: str) -> str | None:
        refusal = await self._refusal(where, tenant_id)
        self._verdicts[key] = _Verdict(refusal, self._monotonic() + REMEMBER_SECONDS)
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > MAX_REMEMBERED:
            self._verdicts.popitem(last=False)
        return refusal

    def _verify_unresolved(self, where: Target) -> None:
        if where.literal:
            self._policy.verify(where.host, where.port)
        elif is_metadata(where.host):
            raise ForbiddenAddressError("it is a cloud's metadata service")
        elif is_localhost(where.host):
            for address in LOOPBACK_ADDRESSES:
                self._policy.verify(address, where.port)

    async def _refusal(self, where: Target, tenant_id: str) -> str | None:
        try:
            self._verify_unresolved(where)
            if not where.literal:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    await self.addresses(where.host, Requester(tenant_id), where.port)
        except ForbiddenAddressError as error:
            return _words(where, error)
        except OSError:  # TimeoutError is one
            return None
        return None


def _words(where: Target, error: ForbiddenAddressError) -> str:
    if is_metadata(where.host):
        return f"callback_url's host {where.host!r} may not be called: {error}"
    subject = "address" if where.literal else "host"
    reason = str(error) if where.literal else str(error).replace("it is", "it resolves to", 1)
    remedy = "" if isinstance(error, OwnAddressError) else f"; {REMEDY}"
    return f"callback_url's {subject} {where.host!r} may not be called: {reason}{remedy}"
