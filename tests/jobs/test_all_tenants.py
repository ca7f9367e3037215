"""Jobs of all tenants in one list, as operators see them."""

from typing import Any

import pytest

from answerback.database import range_scan
from answerback.jobs import all_tenants
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter
from answerback.kernel.ids import EVERY_TENANT
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import DeliveryState
from builders import TENANT, accept, ended_job
from stores import Stores

OTHER = "tenant-b"


async def listed(stores: Stores, **wanted: Any) -> list[str]:
    """The ids of all pages, the newest first."""
    found: list[str] = []
    before = None
    while True:
        page = await stores.jobs.list(JobFilter(EVERY_TENANT, **wanted), before, 2)
        found += [record.job.id for record in page.records]
        if page.following is None:
            return found
        before = page.following


@pytest.fixture(params=["by index", "by the newest of each index", "by rows"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to find them."""
    if request.param == "by the newest of each index":
        monkeypatch.setattr(range_scan, "FEW", 1)
    if request.param == "by rows":
        monkeypatch.setattr(all_tenants, "MOST_TENANTS", 1)


async def test_the_newest_of_all_tenants_come_first(stores: Stores, clock: FakeClock) -> None:
    made = []
    for tenant in (TENANT, OTHER, TENANT, OTHER, OTHER):
        clock.advance(0.001)
        made.append((await accept(stores, tenant_id=tenant, session=None)).job_id)

    assert await listed(stores) == made[::-1]
    assert await listed(stores, since=clock.now()) == [made[-1]]


@pytest.mark.usefixtures("way")
async def test_filters_hold_for_all_tenants(stores: Stores, clock: FakeClock) -> None:
    ended = await ended_job(stores, session="s")
    clock.advance(0.001)
    theirs = (await accept(stores, tenant_id=OTHER, session="s", kind="retired", key_id="key_1")).job_id
    clock.advance(0.001)
    held = (await accept(stores, tenant_id=OTHER, session="s")).job_id

    assert await listed(stores, session_id="s") == [held, theirs, ended]
    assert await listed(stores, kind="retired") == [theirs]
    assert await listed(stores, state=JobState.COMPLETED) == [ended]
    assert await listed(stores, state=JobState.HELD, session_id="s") == [held]
    assert await listed(stores, delivery=DeliveryState.PENDING) == [ended]
    assert await listed(stores, delivery=DeliveryState.DEAD) == []
    assert await listed(stores, key_id="key_1") == [theirs]
    assert await listed(stores, delivery=DeliveryState.PENDING, kind="echo") == [ended]
    assert await listed(stores, session_id="of nobody") == []


@pytest.mark.usefixtures("way")
async def test_many_of_many_tenants_come_in_their_order(stores: Stores, clock: FakeClock) -> None:
    made = []
    for number in range(40):
        clock.advance(0.001)
        tenant = f"tenant-{number * number % 7}"
        kind = "retired" if number % 3 else "echo"
        made.append((await accept(stores, tenant_id=tenant, session=None, kind=kind)).job_id)

    assert await listed(stores, state=JobState.QUEUED) == made[::-1]
    assert await listed(stores, kind="echo") == made[::-3]
