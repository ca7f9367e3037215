"""What stories about deliveries begin with: jobs that ended and owe something, and origins with so much room."""

import asyncio
from collections.abc import Callable, Mapping

from answerback.kernel.shares import Shares
from answerback.webhooks.model import ClaimedDelivery, DeliveryClaims, DeliveryRecord, OriginKey, OriginRoom
from builders import LEASE, TENANT, URL, accept, claim_jobs, finish, roomy
from databases import Database, SqliteDatabase
from stores import Stores

DEAD = "https://dead.example/hook"
ALIVE = OriginKey(TENANT, "https://receiver.example:443")
CLOSED = OriginKey(TENANT, "https://dead.example:443")
SHUT = OriginRoom(0, opens_in=30.0)
COMPLETED, FAILED = "echo.completed", "echo.failed"
"""What the toy kind notifies, and endpoints subscribe to."""
COPIED = (
    "job_id, endpoint_id, destination, conversation_id, position, url, run_at, attempt, attempts, attempts_made, "
    "lease_epoch, deadline_at, created_at, body"
)


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


async def copy_delivery(database: Database, count: int, origin: str, tenant: str = TENANT) -> None:
    """So many copies of a delivery that waits, to an origin with the number of each in place of `{}`."""
    numbers = (
        f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) SELECT n FROM n"
        if isinstance(database, SqliteDatabase)
        else f"SELECT generate_series(1, {count}) AS n"
    )
    numbered = " || n || ".join(f"'{part}'" for part in origin.split("{}"))
    await database.execute(
        f"""INSERT INTO deliveries (id, event_type, tenant_id, origin, state, {COPIED})
            SELECT 'msg_{tenant}_{origin}_' || n, '{tenant}-{origin}-' || n, '{tenant}', {numbered}, 'pending', {COPIED}
            FROM (SELECT * FROM deliveries WHERE state = 'pending' LIMIT 1) AS copied, ({numbers}) AS numbers"""
    )


async def claim(
    stores: Stores, known: Mapping[OriginKey, OriginRoom] | None = None, limit: int = 100, shares: Shares | None = None
) -> DeliveryClaims:
    return await stores.deliveries.claim("worker", limit, LEASE, rooms(known), shares or roomy())


async def record_of(stores: Stores, claimed: ClaimedDelivery) -> DeliveryRecord:
    """A delivery as its owner sees it."""
    job = await stores.jobs.get(claimed.tenant_id, claimed.job_id)
    (record,) = (each for each in job.deliveries if each.id == claimed.id)
    return record


def urls(claims: DeliveryClaims) -> list[str]:
    return [each.url for each in claims.deliveries]
