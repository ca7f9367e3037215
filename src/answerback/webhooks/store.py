"""Deliveries in the database: each method is one transaction."""

from collections.abc import Awaitable, Sequence

from answerback.database.operation import Database
from answerback.jobs.model import DeliveryRecord
from answerback.jobs.ports import Claims
from answerback.queue import leases as leasing
from answerback.queue.unconfirmed import UnconfirmedClaims
from answerback.webhooks import claim as sending
from answerback.webhooks import report as delivering
from answerback.webhooks.model import ClaimedDelivery, DeliveryState, OriginLine, Report


class DeliveryStore:
    """Deliveries, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._deliveries_unconfirmed = UnconfirmedClaims()

    async def claim_deliveries(
        self, owner: str, limit: int, lease_seconds: float, lines: Sequence[OriginLine] = ()
    ) -> Claims:
        """At an origin with a line it claims what there is room for, and gives what else is due there places in line;
        but whatever would not live to see its place it claims all the same."""

        def claim(name: str, unconfirmed: Sequence[str]) -> Awaitable[Claims]:
            return self._database.write.run(
                lambda tx: sending.claim(tx, name, limit, lease_seconds, unconfirmed, lines)
            )

        return await self._deliveries_unconfirmed.claim(owner, claim)

    async def extend_deliveries(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        return await self._database.write.run(
            lambda tx: leasing.extend(tx, leasing.EXTEND_DELIVERY, held, lease_seconds)
        )

    async def release_deliveries(self, held: Sequence[tuple[str, int, float]]) -> None:
        """As `release_jobs`."""
        await self._database.write.run(lambda tx: leasing.release(tx, leasing.RELEASE_DELIVERY, held))

    async def delivered(self, claim: ClaimedDelivery, report: Report) -> bool:
        return await self._report(claim, DeliveryState.DELIVERED, 0.0, report)

    async def send_later(self, claim: ClaimedDelivery, delay: float, report: Report) -> bool:
        return await self._report(claim, DeliveryState.PENDING, delay, report)

    async def dead(self, claim: ClaimedDelivery, report: Report) -> bool:
        return await self._report(claim, DeliveryState.DEAD, 0.0, report)

    async def _report(self, claim: ClaimedDelivery, state: DeliveryState, delay: float, report: Report) -> bool:
        return await self._database.write.run(
            lambda tx: delivering.report(tx, claim, state, delay, report), delivering.PLAN
        )

    async def replay_delivery(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """Raises NotFound; Conflict while an attempt is under way."""
        return await self._database.write.run(lambda tx: delivering.replay(tx, tenant_id, delivery_id))
