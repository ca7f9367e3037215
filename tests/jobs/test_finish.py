"""One transaction ends a job: its state, what its conversation remembers, its deliveries, the next job."""

import json
from typing import Any

import pytest

from answerback.database.operation import Operation, Transaction
from answerback.jobs import finish as ending
from answerback.jobs.kind import Effects, Ending, Job, JobState, Registry
from answerback.queue.attempts import Report
from answerback.testing.clock import FakeClock
from builders import (
    REPORT,
    STORED_FAILURE,
    TENANT,
    URL,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    completed,
    ended_job,
    failed,
    finish,
    later,
    state_of,
)
from databases import Database
from stores import Stores
from toy import EchoKind, Note


async def test_an_answer_is_kept_and_owed(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores)).job_id
    claim = await claim_job(stores)
    clock.advance(2)

    assert await stores.jobs.finish(claim, completed("hi"), Report("answered", duration_ms=1_900))

    record = await stores.jobs.get(TENANT, job_id)
    assert record.ending == Ending(JobState.COMPLETED, clock.now(), {"text": "hi"})
    assert [(each.status, each.duration_ms) for each in record.attempts] == [("answered", 1_900)]
    delivery = await claim_delivery(stores)
    assert (delivery.job_id, delivery.url, delivery.attempt) == (job_id, URL, 1)
    assert json.loads(delivery.body)["echo"] == "hi"


async def test_an_answer_is_remembered(stores: Stores) -> None:
    await ended_job(stores, "ping", end=completed("pong"))

    (entry,) = (await stores.conversations.show(TENANT, "s")).entries
    assert (entry.position, entry.items) == (1, [{"type": "message", "text": "ping"}])


async def test_a_failure_is_owed_but_not_remembered(stores: Stores) -> None:
    await ended_job(stores, end=failed())

    assert (await stores.conversations.show(TENANT, "s")).entries == []
    assert json.loads((await claim_delivery(stores)).body)["status"] == "failed"


async def test_an_ending_queues_the_next_job_of_its_conversation_and_no_other(stores: Stores) -> None:
    accepted = [(await accept(stores)).job_id for _ in range(3)]

    await finish(stores, await claim_job(stores))

    states = [await state_of(stores, job_id) for job_id in accepted]
    assert states == [JobState.COMPLETED, JobState.QUEUED, JobState.HELD]


async def test_an_ended_job_cannot_be_ended_again(stores: Stores, database: Database) -> None:
    await accept(stores)
    claim = await claim_job(stores)
    await finish(stores, claim)
    before = await database.dump()

    assert not await finish(stores, claim, completed("another"))
    assert await database.dump() == before


class BrokenEffects(EchoKind):
    def effects(self, job: Job[Note | None], ending: Ending) -> Effects:
        raise ValueError("no callback can be made of this")


async def test_an_ending_whose_effects_cannot_be_made_changes_nothing(database: Database, clock: FakeClock) -> None:
    stores = await database.open(clock, kinds=Registry([BrokenEffects()]))
    try:
        await accept(stores)
        await accept(stores)
        claim = await claim_job(stores)
        before = await database.dump()

        with pytest.raises(ValueError, match="no callback"):
            await finish(stores, claim)

        assert await database.dump() == before
    finally:
        await stores.close()


async def test_an_ending_interrupted_before_its_last_statement_changes_nothing(
    stores: Stores, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    consequences = ending._consequences

    def interrupted(tx: Transaction, *rest: Any) -> Operation[None]:
        yield from consequences(tx, *rest)
        raise OSError("the power went away")

    await accept(stores)
    await accept(stores)
    claim = await claim_job(stores)
    before = await database.dump()
    monkeypatch.setattr(ending, "_consequences", interrupted)

    with pytest.raises(OSError, match="power"):
        await finish(stores, claim)

    assert await database.dump() == before
    monkeypatch.undo()
    assert await finish(stores, claim)
    assert await stores.jobs.count_open() == 1


@pytest.mark.parametrize(("counted", "next_attempt"), [(True, 2), (False, 1)])
async def test_a_job_that_is_put_off_waits_for_its_time(
    stores: Stores, clock: FakeClock, counted: bool, next_attempt: int
) -> None:
    await accept(stores)
    await accept(stores)
    claim = await claim_job(stores)

    assert await stores.jobs.put_off(claim, later(30.0, counted=counted), REPORT)

    clock.advance(29.999)
    assert await claim_jobs(stores) == []
    clock.advance(0.001)
    again = await claim_job(stores)
    assert (again.id, again.attempt) == (claim.id, next_attempt)
    assert (await stores.jobs.get(TENANT, claim.id)).failure == STORED_FAILURE


async def test_callbacks_of_a_conversation_go_out_one_at_a_time_in_order(stores: Stores) -> None:
    jobs = [await ended_job(stores) for _ in range(3)]

    delivered = []
    for _ in range(3):
        claim = await claim_delivery(stores)
        delivered.append(claim.job_id)
        assert await stores.deliveries.delivered(claim, REPORT)

    assert delivered == jobs
    assert await claim_deliveries(stores) == []


async def test_a_callback_that_waits_for_another_try_holds_the_next(stores: Stores, clock: FakeClock) -> None:
    first, second = await ended_job(stores), await ended_job(stores)
    await stores.deliveries.send_later(await claim_delivery(stores), 300.0, REPORT)

    assert await claim_deliveries(stores) == []

    clock.advance(300)
    claim = await claim_delivery(stores)
    assert (claim.job_id, claim.attempt) == (first, 2)
    await stores.deliveries.dead(claim, REPORT)
    assert (await claim_delivery(stores)).job_id == second


async def test_conversations_and_stateless_messages_do_not_wait_for_each_others_callbacks(stores: Stores) -> None:
    for session in ("a", "b", None, None):
        await ended_job(stores, session=session)

    assert len(await claim_deliveries(stores)) == 4


async def test_a_delivery_keeps_its_id_and_body_over_its_attempts(stores: Stores, clock: FakeClock) -> None:
    await ended_job(stores)
    seen = set()
    for attempt in (1, 2, 3):
        claim = await claim_delivery(stores)
        assert claim.attempt == attempt
        seen.add((claim.id, claim.body))
        await stores.deliveries.send_later(
            claim, 5.0, Report("retry", http_status=503, error="the receiver answered 503")
        )
        clock.advance(5)

    assert len(seen) == 1
    (delivery,) = (await stores.jobs.get(TENANT, claim.job_id)).deliveries
    assert [(each.number, each.http_status) for each in delivery.attempts] == [(1, 503), (2, 503), (3, 503)]
