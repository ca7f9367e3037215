"""Deliveries in the database: each method is one transaction, but for `resend_all`, and raises StorageUnavailable when
the database cannot serve it now."""

from collections.abc import Awaitable, Callable, Sequence

from answerback.database.operation import Database
from answerback.kernel.shares import Shares
from answerback.queue.attempts import Report, reported
from answerback.queue.fifo import release_orphans
from answerback.queue.leases import extend
from answerback.queue.unconfirmed import UnconfirmedClaims
from answerback.webhooks import bulk_resend, expire, order, recover, resend
from answerback.webhooks import claim as claiming
from answerback.webhooks import report as reporting
from answerback.webhooks.bulk_resend import Page, Position, ResendFilter
from answerback.webhooks.claim import Look
from answerback.webhooks.model import (
    ClaimedDelivery,
    DeliveryClaims,
    DeliveryRecord,
    DeliveryState,
    OriginKey,
    Reported,
    Round,
)
from answerback.webhooks.receivers.summary import Receiver, receivers


class DeliveryStore:
    """A write with a claim is fenced: it returns None, and changes nothing, once the row was taken from the claim."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.unconfirmed = UnconfirmedClaims()
        self._walked_to = ""
        self._under_way: Round | None = None

    async def claim(self, owner: str, limit: int, lease_seconds: float, look: Look, shares: Shares) -> DeliveryClaims:
        """At each origin it claims at most as much as `look` says that it takes."""

        def claim(name: str, unconfirmed: Sequence[str]) -> Awaitable[DeliveryClaims]:
            return self._database.write.run(
                lambda tx: claiming.claim(
                    tx, name, limit, lease_seconds, unconfirmed, look, shares.copy(), self._walked_to, self._under_way
                )
            )

        claims = await self.unconfirmed.claim(owner, claim)
        self._walked_to, self._under_way = claims.walked_to, claims.under_way
        return claims

    async def extend(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        """Extends leases of `(id, epoch)`; the ids that are still held."""
        return await self._database.write.run(lambda tx: extend(tx, reporting.EXTEND, held, lease_seconds))

    async def release(self, held: Sequence[tuple[str, int]]) -> None:
        """Releases leases of `(id, epoch)`: the rows are due now; the attempts do not count."""
        await self._database.write.run(lambda tx: reporting.release(tx, held))

    async def delivered(self, claim: ClaimedDelivery, report: Report) -> Reported | None:
        return await self._report(claim, DeliveryState.DELIVERED, report)

    async def send_later(
        self, claim: ClaimedDelivery, delay: float, report: Report, *, counted: bool = True, unreached: bool = False
    ) -> Reported | None:
        """Due again after `delay` seconds, or, where its receiver was `unreached`, once that answers. An attempt not
        `counted` is given back."""
        return await self._report(claim, DeliveryState.PENDING, report, delay, counted=counted, unreached=unreached)

    async def dead(self, claim: ClaimedDelivery, report: Report) -> Reported | None:
        return await self._report(claim, DeliveryState.DEAD, report)

    async def reported(self, claim: ClaimedDelivery, report: Report) -> bool:
        """Whether the claim's attempt ended with this report."""
        return await self._database.read.run(
            lambda _: reported(reporting.ATTEMPTS_OF, claim.id, claim.epoch, report), tenant_id=claim.tenant_id
        )

    async def resend(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """Raises NotFound; Conflict while an attempt is under way."""
        return await self._database.write.run(lambda tx: resend.resend(tx, tenant_id, delivery_id), tenant_id=tenant_id)

    async def resend_all(self, wanted: ResendFilter) -> int:
        """As `resend` for all that match, oldest first where they are dead; returns how many. Each page is a
        transaction: what was resent stays so if the database fails in between."""

        def resend_page(positions: Sequence[Position], started: int) -> Awaitable[int]:
            return self._database.write.run(
                lambda tx: bulk_resend.resend_page(tx, wanted, positions, started), tenant_id=wanted.tenant_id
            )

        return await self._sum_of_pages(wanted, resend_page)

    async def count_matching(self, wanted: ResendFilter) -> int:
        """How many `resend_all` would resend now."""

        def count_page(positions: Sequence[Position], started: int) -> Awaitable[int]:
            return self._database.read.run(
                lambda _: bulk_resend.count_page(wanted, positions, started), tenant_id=wanted.tenant_id
            )

        return await self._sum_of_pages(wanted, count_page)

    async def receivers(self, tenant_id: str) -> Sequence[Receiver]:
        """Where the tenant's deliveries go."""
        return await self._database.read.run(lambda tx: receivers(tx, tenant_id), tenant_id=tenant_id)

    async def recover(self) -> int:
        """Takes back a batch of deliveries whose lease ran out; returns how many."""
        return await self._database.write.run(recover.recover_leases)

    async def expire(self, is_open: Callable[[OriginKey], bool]) -> int:
        """Ends a batch of deliveries past their deadline whose origin's breaker is open; returns how many."""
        return await self._database.write.run(lambda tx: expire.expire(tx, is_open))

    async def release_orphans(self) -> int:
        """Releases a batch of deliveries that are held behind nothing, of which there should never be one; returns how
        many."""
        return await self._database.write.run(lambda tx: release_orphans(tx, order.ORPHANED, order.RELEASE_NEXT))

    async def _sum_of_pages(
        self, wanted: ResendFilter, of_page: Callable[[Sequence[Position], int], Awaitable[int]]
    ) -> int:
        page = await self._page(wanted, bulk_resend.BEGINNING)
        total, started = 0, page.now
        while page.positions:
            total += await of_page(page.positions, started)
            page = await self._page(wanted, page.positions[-1])
        return total

    async def _page(self, wanted: ResendFilter, after: Position) -> Page:
        return await self._database.read.run(
            lambda tx: bulk_resend.find_page(tx, wanted, after), tenant_id=wanted.tenant_id
        )

    async def _report(
        self,
        claim: ClaimedDelivery,
        state: DeliveryState,
        report: Report,
        delay: float = 0.0,
        *,
        counted: bool = True,
        unreached: bool = False,
    ) -> Reported | None:
        return await self._database.write.run(
            lambda tx: reporting.end_attempt(tx, claim, state, report, delay, counted, unreached), reporting.PLAN
        )
