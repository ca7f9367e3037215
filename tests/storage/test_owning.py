"""What owners do with their jobs: cancel, run anew, list, look back, erase."""

import pytest

from answerback.jobs.model import Ending, JobState
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import (
    FAILURE,
    REPORT,
    TENANT,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    completed,
    ended_job,
    failed,
    finish,
    owed_delivery,
    state_of,
)
from databases import Database


async def test_a_queued_job_is_cancelled_and_its_sender_hears(store: SqlStore) -> None:
    job_id = (await accept(store)).job_id

    await store.cancel_job(TENANT, job_id)

    assert await state_of(store, job_id) == JobState.CANCELLED
    assert (await claim_delivery(store)).job_id == job_id


async def test_cancelling_the_head_moves_the_line_and_cancelling_a_held_one_does_not(store: SqlStore) -> None:
    head, middle, last = [(await accept(store)).job_id for _ in range(3)]

    await store.cancel_job(TENANT, middle)
    assert [await state_of(store, job) for job in (head, last)] == [JobState.QUEUED, JobState.HELD]

    await store.cancel_job(TENANT, head)
    assert await state_of(store, last) == JobState.QUEUED


async def test_cancelling_a_running_job_fences_its_holder(store: SqlStore, database: Database) -> None:
    job_id = (await accept(store)).job_id
    claim = await claim_job(store)

    await store.cancel_job(TENANT, job_id)

    before = await database.dump()
    assert not await finish(store, claim)
    assert not await store.requeue(claim, 0.0, counted=True, failure=FAILURE, report=REPORT)
    await store.release_jobs([(claim.id, claim.epoch, 0.0)])
    assert await database.dump() == before
    assert [each.status for each in (await store.get_job(TENANT, job_id)).attempts] == ["cancelled"]


async def test_cancelling_twice_is_no_error_and_owes_one_callback(store: SqlStore) -> None:
    job_id = (await accept(store)).job_id

    await store.cancel_job(TENANT, job_id)
    await store.cancel_job(TENANT, job_id)

    assert len(await claim_deliveries(store)) == 1


@pytest.mark.parametrize("ending", [completed(), failed()])
async def test_an_ended_job_cannot_be_cancelled(store: SqlStore, database: Database, ending: Ending) -> None:
    job_id = await ended_job(store, ending=ending)
    before = await database.dump()

    with pytest.raises(Conflict):
        await store.cancel_job(TENANT, job_id)
    assert await database.dump() == before


async def test_other_tenants_jobs_do_not_exist(store: SqlStore) -> None:
    claim = await owed_delivery(store)

    for attempt in (
        store.get_job("tenant-b", claim.job_id),
        store.cancel_job("tenant-b", claim.job_id),
        store.retry_source("tenant-b", claim.job_id),
        store.resend_delivery("tenant-b", claim.id),
        store.get_conversation("tenant-b", "s"),
        store.erase_conversation("tenant-b", "s"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_an_unsuccessful_job_can_run_anew_once(store: SqlStore) -> None:
    job_id = await ended_job(store, "again", ending=failed())
    source, earlier = await store.retry_source(TENANT, job_id)
    assert (source.request.message, earlier) == ("again", None)

    retry = await accept(store, retry_of=job_id)
    twin = await accept(store, retry_of=job_id)

    assert (twin.job_id, twin.created) == (retry.job_id, False)
    assert (await store.retry_source(TENANT, job_id))[1] == twin
    assert (await store.get_job(TENANT, job_id)).retried_as == retry.job_id
    assert (await store.get_job(TENANT, retry.job_id)).retry_of == job_id


async def test_a_completed_or_open_job_cannot_run_anew(store: SqlStore) -> None:
    done = await ended_job(store)
    waiting = (await accept(store)).job_id

    for job_id in (done, waiting):
        with pytest.raises(Conflict):
            await store.retry_source(TENANT, job_id)


async def test_jobs_are_listed_newest_first_by_page_state_and_session(store: SqlStore, clock: FakeClock) -> None:
    made = []
    for n in range(6):
        made.append((await accept(store, session=f"s{n % 2}")).job_id)
        clock.advance(1)
    await store.cancel_job(TENANT, made[0])

    async def listed(state: JobState | None, session: str | None, before: str | None, limit: int) -> list[str]:
        return [each.job.id for each in await store.list_jobs(TENANT, state, session, before, limit)]

    assert await listed(None, None, None, 10) == made[::-1]
    assert await listed(None, None, None, 2) == [made[5], made[4]]
    assert await listed(None, None, made[4], 2) == [made[3], made[2]]
    assert await listed(None, "s1", None, 10) == [made[5], made[3], made[1]]
    assert await listed(JobState.CANCELLED, None, None, 10) == [made[0]]
    assert await listed(None, "unknown", None, 10) == []


async def test_an_erased_conversation_leaves_no_text_behind(store: SqlStore, database: Database) -> None:
    for n in range(3):
        await ended_job(store, f"SECRET-{n}", ending=completed(f"SECRET-ANSWER-{n}"))
        await store.delivered(await claim_delivery(store), REPORT)
    assert any("SECRET" in line for line in await database.dump())

    await store.erase_conversation(TENANT, "s")

    assert (await store.get_conversation(TENANT, "s")).turns == ()
    # Bodies are dumped as hexadecimal.
    assert not any("SECRET" in line or b"SECRET".hex().upper() in line.upper() for line in await database.dump())


async def test_erasing_one_conversation_leaves_the_others(store: SqlStore) -> None:
    await ended_job(store, session="s")
    kept = await ended_job(store, session="t")

    await store.erase_conversation(TENANT, "s")

    assert len((await store.get_conversation(TENANT, "t")).turns) == 1
    assert (await store.get_job(TENANT, kept)).answer == "an answer"


async def test_what_is_in_flight_at_an_erasure_is_answered_but_not_remembered(
    store: SqlStore, database: Database
) -> None:
    await accept(store, "running")
    await accept(store, "held")
    claim = await claim_job(store)

    await store.erase_conversation(TENANT, "s")
    await finish(store, claim)
    await finish(store, await claim_job(store))
    assert (await store.get_conversation(TENANT, "s")).turns == ()
    await ended_job(store, "later")

    assert [turn.user for turn in (await store.get_conversation(TENANT, "s")).turns] == ["later"]
    assert await database.rows("SELECT count(*) FROM deliveries") == [(3,)]


async def test_an_erased_job_can_neither_run_anew_nor_be_resent(store: SqlStore) -> None:
    job_id = await ended_job(store, ending=failed())
    claim = await claim_delivery(store)
    await store.delivered(claim, REPORT)
    await store.erase_conversation(TENANT, "s")

    with pytest.raises(Conflict):
        await store.retry_source(TENANT, job_id)
    with pytest.raises(Conflict):
        await store.resend_delivery(TENANT, claim.id)
