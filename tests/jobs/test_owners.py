"""What owners do with their jobs: cancel, run anew, replay, list, look back, erase."""

import pytest

from answerback.jobs.kind import Ending, JobState
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import (
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
    later,
    owed_delivery,
    state_of,
)
from databases import Database
from stores import Stores


async def test_a_queued_job_is_cancelled_and_its_sender_hears(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id

    await stores.jobs.cancel(TENANT, job_id)

    assert await state_of(stores, job_id) == JobState.CANCELLED
    assert (await claim_delivery(stores)).job_id == job_id


async def test_cancelling_the_head_moves_the_line_and_cancelling_a_held_one_does_not(stores: Stores) -> None:
    head, middle, last = [(await accept(stores)).job_id for _ in range(3)]

    await stores.jobs.cancel(TENANT, middle)
    assert [await state_of(stores, job) for job in (head, last)] == [JobState.QUEUED, JobState.HELD]

    await stores.jobs.cancel(TENANT, head)
    assert await state_of(stores, last) == JobState.QUEUED


async def test_cancelling_a_running_job_fences_its_holder(stores: Stores, database: Database) -> None:
    job_id = (await accept(stores)).job_id
    claim = await claim_job(stores)

    await stores.jobs.cancel(TENANT, job_id)

    before = await database.dump()
    assert not await finish(stores, claim)
    assert not await stores.jobs.put_off(claim, later(0.0), REPORT)
    await stores.jobs.give_back([(claim.id, claim.epoch)])
    assert await database.dump() == before
    assert [each.status for each in (await stores.jobs.get(TENANT, job_id)).attempts] == ["cancelled"]


async def test_cancelling_twice_is_no_error_and_owes_one_callback(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id

    await stores.jobs.cancel(TENANT, job_id)
    await stores.jobs.cancel(TENANT, job_id)

    assert len(await claim_deliveries(stores)) == 1


@pytest.mark.parametrize("ending", [completed(), failed()])
async def test_an_ended_job_cannot_be_cancelled(stores: Stores, database: Database, ending: Ending) -> None:
    job_id = await ended_job(stores, ending=ending)
    before = await database.dump()

    with pytest.raises(Conflict):
        await stores.jobs.cancel(TENANT, job_id)
    assert await database.dump() == before


async def test_other_tenants_jobs_do_not_exist(stores: Stores) -> None:
    claim = await owed_delivery(stores)

    for attempt in (
        stores.jobs.get("tenant-b", claim.job_id),
        stores.jobs.cancel("tenant-b", claim.job_id),
        stores.jobs.retry_source("tenant-b", claim.job_id),
        stores.deliveries.resend_delivery("tenant-b", claim.id),
        stores.get_conversation("tenant-b", "s"),
        stores.erase_conversation("tenant-b", "s"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_an_unsuccessful_job_can_run_anew_once(stores: Stores) -> None:
    job_id = await ended_job(stores, "again", end=failed())
    source, earlier = await stores.jobs.retry_source(TENANT, job_id)
    assert (source.request.message, earlier) == ("again", None)

    retry = await accept(stores, retry_of=job_id)
    twin = await accept(stores, retry_of=job_id)

    assert (twin.job_id, twin.created) == (retry.job_id, False)
    assert (await stores.jobs.retry_source(TENANT, job_id))[1] == twin
    assert (await stores.jobs.get(TENANT, job_id)).retried_as == retry.job_id
    assert (await stores.jobs.get(TENANT, retry.job_id)).retry_of == job_id


async def test_a_completed_or_open_job_cannot_run_anew(stores: Stores) -> None:
    done = await ended_job(stores)
    waiting = (await accept(stores)).job_id

    for job_id in (done, waiting):
        with pytest.raises(Conflict):
            await stores.jobs.retry_source(TENANT, job_id)


@pytest.mark.parametrize("settle", ["delivered", "dead"])
async def test_a_settled_delivery_is_replayed_with_the_same_id_and_body_on_a_schedule_of_its_own(
    stores: Stores, clock: FakeClock, settle: str
) -> None:
    await ended_job(stores)
    for _ in range(3):
        first = await claim_delivery(stores)
        await stores.deliveries.send_later(first, 1.0, REPORT)
        clock.advance(1)
    await getattr(stores, settle)(await claim_delivery(stores), REPORT)
    clock.advance(1_000)

    replayed = await stores.deliveries.resend_delivery(TENANT, first.id)

    assert (replayed.state, replayed.attempt, len(replayed.attempts)) == ("pending", 0, 4)
    again = await claim_delivery(stores)
    assert (again.id, again.body, again.attempt) == (first.id, first.body, 1)
    assert again.deadline_at == first.deadline_at + 1_003_000


@pytest.mark.parametrize("settle", ["send_later", "dead"])
async def test_a_replay_that_fails_does_not_undo_the_delivery(stores: Stores, clock: FakeClock, settle: str) -> None:
    claim = await owed_delivery(stores)
    delivered_at = clock.now()
    await stores.deliveries.delivered(claim, REPORT)
    clock.advance(1)
    await stores.deliveries.resend_delivery(TENANT, claim.id)

    again = await claim_delivery(stores)
    assert await (
        stores.deliveries.dead(again, REPORT) if settle == "dead" else stores.deliveries.send_later(again, 5.0, REPORT)
    )

    delivery = (await stores.jobs.get(TENANT, claim.job_id)).delivery
    assert delivery is not None
    assert delivery.delivered_at == delivered_at


async def test_a_delivery_under_way_cannot_be_replayed(stores: Stores) -> None:
    claim = await owed_delivery(stores)

    with pytest.raises(Conflict):
        await stores.deliveries.resend_delivery(TENANT, claim.id)


async def test_a_delivery_waiting_for_another_try_goes_out_at_once_when_replayed(stores: Stores) -> None:
    claim = await owed_delivery(stores)
    await stores.deliveries.send_later(claim, 300.0, REPORT)

    await stores.deliveries.resend_delivery(TENANT, claim.id)

    assert (await claim_delivery(stores)).id == claim.id


async def test_a_replay_does_not_stand_in_the_line_of_the_conversation(stores: Stores) -> None:
    claim = await owed_delivery(stores)
    await stores.deliveries.delivered(claim, REPORT)
    second = await ended_job(stores)

    await stores.deliveries.resend_delivery(TENANT, claim.id)

    assert {each.job_id for each in await claim_deliveries(stores)} == {claim.job_id, second}


async def test_jobs_are_listed_newest_first_by_page_state_and_session(stores: Stores, clock: FakeClock) -> None:
    made = []
    for n in range(6):
        made.append((await accept(stores, session=f"s{n % 2}")).job_id)
        clock.advance(1)
    await stores.jobs.cancel(TENANT, made[0])

    async def listed(state: JobState | None, session: str | None, before: str | None, limit: int) -> list[str]:
        return [each.job.id for each in await stores.jobs.list(TENANT, state, session, before, limit)]

    assert await listed(None, None, None, 10) == made[::-1]
    assert await listed(None, None, None, 2) == [made[5], made[4]]
    assert await listed(None, None, made[4], 2) == [made[3], made[2]]
    assert await listed(None, "s1", None, 10) == [made[5], made[3], made[1]]
    assert await listed(JobState.CANCELLED, None, None, 10) == [made[0]]
    assert await listed(None, "unknown", None, 10) == []


async def test_an_erased_conversation_leaves_no_text_behind(stores: Stores, database: Database) -> None:
    for n in range(3):
        await ended_job(stores, f"SECRET-{n}", end=completed(f"SECRET-ANSWER-{n}"))
        await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    assert any("SECRET" in line for line in await database.dump())

    await stores.erase_conversation(TENANT, "s")

    assert (await stores.get_conversation(TENANT, "s")).turns == ()
    # Bodies are dumped as hexadecimal.
    assert not any("SECRET" in line or b"SECRET".hex().upper() in line.upper() for line in await database.dump())


async def test_erasing_one_conversation_leaves_the_others(stores: Stores) -> None:
    await ended_job(stores, session="s")
    kept = await ended_job(stores, session="t")

    await stores.erase_conversation(TENANT, "s")

    assert len((await stores.get_conversation(TENANT, "t")).turns) == 1
    assert (await stores.jobs.get(TENANT, kept)).answer == "an answer"


async def test_what_is_in_flight_at_an_erasure_is_answered_but_not_remembered(
    stores: Stores, database: Database
) -> None:
    await accept(stores, "running")
    await accept(stores, "held")
    claim = await claim_job(stores)

    await stores.erase_conversation(TENANT, "s")
    await finish(stores, claim)
    await finish(stores, await claim_job(stores))
    assert (await stores.get_conversation(TENANT, "s")).turns == ()
    await ended_job(stores, "later")

    assert [turn.user for turn in (await stores.get_conversation(TENANT, "s")).turns] == ["later"]
    assert await database.rows("SELECT count(*) FROM deliveries") == [(3,)]


async def test_an_erased_job_can_neither_run_anew_nor_be_replayed(stores: Stores) -> None:
    job_id = await ended_job(stores, end=failed())
    claim = await claim_delivery(stores)
    await stores.deliveries.delivered(claim, REPORT)
    await stores.erase_conversation(TENANT, "s")

    with pytest.raises(Conflict):
        await stores.jobs.retry_source(TENANT, job_id)
    with pytest.raises(Conflict):
        await stores.deliveries.resend_delivery(TENANT, claim.id)
