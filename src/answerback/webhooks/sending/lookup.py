"""Names to addresses, by the system's resolver, in threads of their own that tenants share."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from answerback.http.client.names import REMEMBER_SECONDS, look_up
from answerback.kernel.shares import Shares
from answerback.kernel.shielded import shielded
from answerback.kernel.turns import Turns

THREADS = 32
MAX_REMEMBERED = 4096


@dataclass(slots=True)
class Requester:
    """Whose lookup it is. `deadline` does not run while the tenant waits for its turn: that wait, of `waited` seconds,
    is our shortage, not the receiver's."""

    tenant_id: str = ""
    deadline: asyncio.Timeout | None = None
    waited: float = 0.0

    def admit(self, addresses: Sequence[str]) -> None:
        """Sees where a connection is about to be made. Raises what ends the request instead."""

    @contextlib.contextmanager
    def unhurried(self) -> Iterator[None]:
        """The deadline stands still meanwhile."""
        if self.deadline is None or (ends_at := self.deadline.when()) is None:
            yield
            return
        now = asyncio.get_running_loop().time
        stopped_at = now()
        self.deadline.reschedule(None)
        try:
            yield
        finally:
            waited = now() - stopped_at
            self.waited += waited
            self.deadline.reschedule(ends_at + waited)


_Found: TypeAlias = asyncio.Future[Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Known:
    found: _Found
    until: float


class SystemLookup:
    """Asks the system's resolver, which may take half a minute for a dead name and cannot be stopped. A tenant takes a
    thread only while it holds fewer than `factor` times the free ones; at its share it waits for a thread of its own.
    Requests for one name at the same time share a thread, so that a backlog for a dead name holds no others.
    """

    def __init__(self, factor: float, resolve: Callable[[str], Sequence[str]] | None = None) -> None:
        self._resolve = resolve or look_up
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="callback-dns")
        self._turns = Turns(Shares(THREADS, factor))
        self._under_way: dict[str, _Found] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def __call__(self, host: str, requester: Requester) -> Sequence[str]:
        """Every address of a host, zones kept (`fe80::1%2`). Raises OSError."""
        found = self._found(host) or await self._begin_in_turn(host, requester)
        # One that gives up must not end the lookup that others wait for.
        return found.result() if found.done() else await shielded(found)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _found(self, host: str) -> _Found | None:
        known = self._known.get(host)
        return known.found if known is not None and known.until > time.monotonic() else self._under_way.get(host)

    async def _begin_in_turn(self, host: str, requester: Requester) -> _Found:
        if not self._turns.take(requester.tenant_id):
            with requester.unhurried():
                await self._turns.wait(requester.tenant_id)
            if (found := self._found(host)) is not None:
                self._turns.give(requester.tenant_id)
                return found
        return self._begin(host, requester.tenant_id)

    def _begin(self, host: str, tenant_id: str) -> _Found:
        """The thread is the tenant's until the resolver returns, whether or not anybody still waits for it."""
        loop = asyncio.get_running_loop()

        def ended(resolved: "Future[Sequence[str]]") -> None:
            # The loop may be closed by then.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end, host, tenant_id, resolved)

        try:
            resolving = self._pool.submit(self._resolve, host)
        except RuntimeError:
            self._turns.give(tenant_id)
            raise OSError("the service stops") from None
        found = self._under_way[host] = loop.create_future()
        resolving.add_done_callback(ended)
        return found

    def _end(self, host: str, tenant_id: str, resolved: "Future[Sequence[str]]") -> None:
        # Remembered first: the lookup that gets the thread next may be of the same name.
        found = self._under_way.pop(host)
        if resolved.cancelled():
            found.cancel()
        elif (error := resolved.exception()) is not None:
            found.set_exception(error)
        else:
            found.set_result(resolved.result())
            self._known[host] = _Known(found, time.monotonic() + REMEMBER_SECONDS)
            self._known.move_to_end(host)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        self._turns.give(tenant_id)
