"""What stories about deliveries begin with: jobs that ended and owe something, and origins with so much room."""

import asyncio
from collections.abc import Callable, Mapping

from answerback.kernel.shares import Shares
from answerback.webhooks.model import ClaimedDelivery, DeliveryClaims, DeliveryRecord, OriginKey, OriginRoom
from builders import LEASE, TENANT, URL, accept, claim_jobs, finish, roomy
from stores import Stores

DEAD = "https://dead.example/hook"
ALIVE = OriginKey(TENANT, "https://receiver.example:443")
CLOSED = OriginKey(TENANT, "https://dead.example:443")
SHUT = OriginRoom(0, opens_in=30.0)
COMPLETED, FAILED = "echo.completed", "echo.failed"
"""What the toy kind notifies, and endpoints subscribe to."""


def rooms(known: Mapping[OriginKey, OriginRoom] | None = None) -> Callable[[OriginKey, bool, bool], OriginRoom]:
    """Every other origin takes a thousand."""
    return lambda key, *_: (known or {}).get(key, OriginRoom(1_000))


async def owe(stores: Stores, count: int, url: str = URL, tenant: str = TENANT, session: str | None = None) -> None:
    """So many deliveries, each of a job that ended."""
    for _ in range(count) if session else range(1):
        many = 1 if session else count
        await asyncio.gather(
            *(accept(stores, session=session, callback_url=url, tenant_id=tenant) for _ in range(many))
        )
        await asyncio.gather(*(finish(stores, claim) for claim in await claim_jobs(stores, limit=many)))


async def claim(
    stores: Stores, known: Mapping[OriginKey, OriginRoom] | None = None, limit: int = 100, shares: Shares | None = None
) -> DeliveryClaims:
    return await stores.deliveries.claim_deliveries("worker", limit, LEASE, rooms(known), shares or roomy())


async def record_of(stores: Stores, claimed: ClaimedDelivery) -> DeliveryRecord:
    """A delivery as its owner sees it."""
    job = await stores.jobs.get(claimed.tenant_id, claimed.job_id)
    (record,) = (each for each in job.deliveries if each.id == claimed.id)
    return record


def urls(claims: DeliveryClaims) -> list[str]:
    return [each.url for each in claims.deliveries]
