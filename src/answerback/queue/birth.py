"""Rows that are born claimed: where this process has room, the transaction that inserts a row also claims it, so that
the row needs no claim and does not wait for one.

A place in the worker pool is taken before the transaction, and given back if the row does not need it. The insert
claims the row only if no other waits in its queue: nobody is overtaken.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from answerback.kernel.errors import OutcomeUnknown
from answerback.queue.leased_queue import C, owner_name
from answerback.queue.leases import Offer
from answerback.queue.unconfirmed import UnconfirmedClaims
from answerback.queue.worker_pool import WorkerPool


class Inserted(Protocol):
    """What an insert returns: `claim` is None unless the row was born claimed."""

    @property
    def claim(self) -> Any: ...


T = TypeVar("T", bound=Inserted | None)


class Births(Generic[C]):
    """Offers places in one worker pool."""

    def __init__(self, pool: WorkerPool[C], unconfirmed: UnconfirmedClaims) -> None:
        self._pool = pool
        self._unconfirmed = unconfirmed
        self._owner = owner_name()

    async def insert(self, tenant_id: str, insert: Callable[[Offer | None], Awaitable[T]]) -> T:
        """Calls `insert` with an offer, None where there is no room, and runs the row if it was born claimed.

        Must not be cancelled: the row would stay leased, and nobody would run it. Raises what `insert` raises; a row
        whose commit was not answered is given back by the next claim.
        """
        if not self._pool.reserve(tenant_id):
            return await insert(None)
        offer = Offer(self._unconfirmed.name(self._owner), self._pool.lease_seconds)
        leased_until = self._pool.lease_end()
        claim: C | None = None
        try:
            inserted = await insert(offer)
            claim = None if inserted is None else inserted.claim
        except OutcomeUnknown:
            self._unconfirmed.add(offer.owner)
            raise
        finally:
            if claim is None:
                self._pool.give_back(tenant_id)
        if claim is not None:
            await self._pool.adopt(claim, leased_until)
        return inserted
