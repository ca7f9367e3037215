"""Lists of jobs page by page: with every filter, each job that suits is shown one time, newest first."""

from itertools import product

import pytest

from answerback.database import pages as sizes
from answerback.jobs import pages
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import DeliveryState
from builders import REPORT, TENANT, accept, claim_deliveries, claim_jobs, completed, ended_job, failed, finish, later
from stores import Stores

OTHER_TENANT = "tenant-b"
SESSIONS = ("a", "b", None)
KINDS = ("echo", "retired")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few jobs need many steps, and pages end before they are full."""
    monkeypatch.setattr(pages, "CHUNK", 2)
    monkeypatch.setattr(pages, "CHUNKS", 2)


async def many_jobs(stores: Stores, clock: FakeClock) -> None:
    """Of two kinds, in and outside of conversations, in several states; the ended ones have deliveries in several."""
    for _ in range(3):
        await ended_job(stores, session="a")
        clock.advance(0.001)
    for number, (session, kind) in enumerate([*product(SESSIONS, KINDS)] * 6):
        await accept(stores, f"job {number}", session, kind=kind, tenant_id=OTHER_TENANT if number % 7 == 5 else TENANT)
        clock.advance(0.001)
        if number % 5 == 4:
            await some_end(stores)
    await some_deliveries_end(stores)


async def some_end(stores: Stores) -> None:
    """What an unreadable kind does is left to the version that knows it, so its jobs are cancelled instead."""
    for number, claim in enumerate(await claim_jobs(stores, limit=4)):
        if number == 3:
            await stores.jobs.put_off(claim, later(), REPORT)
        else:
            await finish(stores, claim, failed() if number == 1 else completed())
    page = await stores.jobs.list(JobFilter(TENANT, JobState.SCHEDULED, "retired"), None, 1)
    for record in page.records:
        await stores.jobs.cancel(TENANT, record.job.id)


async def some_deliveries_end(stores: Stores) -> None:
    for number, claim in enumerate(await claim_deliveries(stores, limit=6)):
        if number % 3 == 0:
            await stores.deliveries.delivered(claim, REPORT)
        elif number % 3 == 1:
            await stores.deliveries.dead(claim, REPORT)


async def paged(stores: Stores, wanted: JobFilter, limit: int) -> list[str]:
    """The ids of all pages, one after the other."""
    found: list[str] = []
    before = None
    for _ in range(1_000):
        page = await stores.jobs.list(wanted, before, limit)
        assert len(page.records) <= limit
        found += [record.job.id for record in page.records]
        if page.following is None:
            return found
        assert before is None or page.following < before
        before = page.following
    raise AssertionError("the pages have no end")


async def shown_singly(stores: Stores) -> list[JobFilter]:
    """What single jobs show of themselves, in the order of the list of all."""
    in_a = set(await paged(stores, JobFilter(TENANT, session_id="a"), 100))
    shown = []
    for job_id in await paged(stores, JobFilter(TENANT), 100):
        record = await stores.jobs.get(TENANT, job_id)
        delivery = record.deliveries[0].state if record.deliveries else None
        shown.append(JobFilter(job_id, record.state, record.job.kind, "a" if job_id in in_a else None, delivery))
    return shown


def suits(wanted: JobFilter, job: JobFilter) -> bool:
    return (
        wanted.state in (None, job.state)
        and wanted.kind in (None, job.kind)
        and wanted.session_id in (None, job.session_id)
        and wanted.delivery in (None, job.delivery)
    )


STATES = (None, JobState.QUEUED, JobState.HELD, JobState.COMPLETED, JobState.FAILED)
DELIVERIES = (None, DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DELIVERED, DeliveryState.HELD)


@pytest.mark.usefixtures("small_chunks")
async def test_no_filter_loses_or_doubles_a_job_between_pages(stores: Stores, clock: FakeClock) -> None:
    await many_jobs(stores, clock)
    jobs = await shown_singly(stores)

    met = set()
    for state, kind, session, delivery in product(STATES, (None, "echo", "none"), (None, "a"), DELIVERIES):
        wanted = JobFilter(TENANT, state, kind, session, delivery)
        expected = [job.tenant_id for job in jobs if suits(wanted, job)]
        assert await paged(stores, wanted, 3) == expected, wanted
        met |= {(state, kind, session, delivery)} if expected else set()

    assert len(jobs) > 20
    assert [job.tenant_id for job in jobs] == sorted((job.tenant_id for job in jobs), reverse=True)
    # The stories above are about something.
    assert {state for state, *_ in met} == set(STATES)
    assert {delivery for *_, delivery in met} == set(DELIVERIES)
    assert (JobState.COMPLETED, "echo", "a", DeliveryState.HELD) in met


async def test_a_list_holds_what_is_of_its_conversation(stores: Stores, clock: FakeClock) -> None:
    made = {}
    for session in ("a", "b", "a", None):
        made.setdefault(session, []).append((await accept(stores, session=session)).job_id)
        clock.advance(1)

    assert await paged(stores, JobFilter(TENANT, session_id="a"), 10) == made["a"][::-1]
    assert await paged(stores, JobFilter(TENANT, session_id="nobody"), 10) == []


async def test_a_job_that_comes_or_moves_between_two_pages_shifts_no_other(stores: Stores, clock: FakeClock) -> None:
    made = []
    for _ in range(4):
        made.append((await accept(stores, session=None)).job_id)
        clock.advance(1)
    first = await stores.jobs.list(JobFilter(TENANT), None, 2)

    await accept(stores, session=None)
    await stores.jobs.cancel(TENANT, made[2])
    second = await stores.jobs.list(JobFilter(TENANT), first.following, 2)

    assert [record.job.id for record in (*first.records, *second.records)] == made[::-1]
    assert second.following is None


@pytest.mark.parametrize("cursor", ["job_" + "0" * 32, "job_" + "f" * 32])
async def test_a_cursor_that_no_job_has_is_a_place_between_jobs(stores: Stores, cursor: str) -> None:
    job_id = (await accept(stores)).job_id

    for wanted in (JobFilter(TENANT), JobFilter(TENANT, JobState.QUEUED), JobFilter(TENANT, session_id="s")):
        page = await stores.jobs.list(wanted, cursor, 10)
        assert [record.job.id for record in page.records] == ([job_id] if cursor > job_id else [])


async def test_jobs_with_long_arguments_come_in_short_pages(
    stores: Stores, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "PAGE_CHARACTERS", 10_000)
    made = []
    for length in (1_000, 20_000, 4_000, 4_000, 4_000):
        made.append((await accept(stores, "x" * length, session=None)).job_id)
        clock.advance(1)

    first = await stores.jobs.list(JobFilter(TENANT), None, 100)

    assert [record.job.id for record in first.records] == made[:2:-1]
    assert first.following == made[3]
    assert await paged(stores, JobFilter(TENANT), 100) == made[::-1]


async def test_another_tenants_job_as_a_cursor_shows_nothing_of_it(stores: Stores, clock: FakeClock) -> None:
    mine = (await accept(stores, session=None)).job_id
    clock.advance(1)
    theirs = (await accept(stores, session=None, tenant_id=OTHER_TENANT)).job_id

    page = await stores.jobs.list(JobFilter(TENANT), theirs, 10)

    assert [record.job.id for record in page.records] == [mine]


async def test_a_listed_job_shows_where_its_delivery_stands_and_what_holds_it(stores: Stores, clock: FakeClock) -> None:
    made = []
    for _ in range(3):
        made.append((await accept(stores)).job_id)
        clock.advance(1)
        (claim,) = await claim_jobs(stores)
        await finish(stores, claim)
    (first,) = await claim_deliveries(stores)
    await stores.deliveries.send_later(first, 60.0, REPORT)

    page = await stores.jobs.list(JobFilter(TENANT), None, 10)

    (third, second, held_by_none) = [record.deliveries[0] for record in page.records]
    assert (held_by_none.state, held_by_none.held_by) == ("pending", None)
    assert held_by_none.next_attempt_at == clock.now() + 60_000
    assert {(each.state, each.held_by, each.attempts) for each in (second, third)} == {("held", made[0], ())}
    assert [each.held_by for each in (await stores.jobs.get(TENANT, made[2])).deliveries] == [made[0]]
