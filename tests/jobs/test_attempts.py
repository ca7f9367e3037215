"""The attempts that a job's row holds: each is appended by the statement that ends it."""

import pytest

from answerback.jobs.bodies import job_details
from answerback.jobs.outcome import Snooze
from answerback.queue.attempts import KEPT_FIRST, KEPT_LAST, SNIPPET_BYTES, Attempt, Report
from answerback.testing.clock import FakeClock
from builders import FAILURE, LEASE, TENANT, accept, claim_job, completed, later, recover, roomy
from stores import Stores


async def attempts_of(stores: Stores, job_id: str) -> tuple[Attempt, ...]:
    return (await stores.jobs.get(TENANT, job_id)).attempts


async def test_an_attempt_says_who_it_was_when_it_ran_and_how_it_went(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores)).job_id
    claim = await claim_job(stores)
    started = clock.now()
    clock.advance(2)

    await stores.jobs.put_off(claim, later(), Report("retry", "upstream_error: no", 503, 1_900, "<html>"))

    assert await attempts_of(stores, job_id) == (
        Attempt(1, claim.epoch, "retry", started, clock.now(), 503, "upstream_error: no", 1_900, "<html>"),
    )


async def test_the_first_three_and_the_last_twenty_are_kept_and_all_are_counted(
    stores: Stores, clock: FakeClock
) -> None:
    job_id = (await accept(stores)).job_id
    for n in range(1, 31):
        await stores.jobs.put_off(await claim_job(stores), later(0.0), Report("retry", str(n)))

    record = await stores.jobs.get(TENANT, job_id)

    assert (KEPT_FIRST, KEPT_LAST) == (3, 20)
    assert [int(each.error or 0) for each in record.attempts] == [1, 2, 3, *range(11, 31)]
    assert record.attempts_made == 30


@pytest.mark.parametrize(
    ("snippet", "kept"), [("x" * 5_000, "x" * SNIPPET_BYTES), ("ü" * 5_000, "ü" * (SNIPPET_BYTES // 2)), ("x", "x")]
)
async def test_a_snippet_is_kept_up_to_a_kibibyte(stores: Stores, snippet: str, kept: str) -> None:
    job_id = (await accept(stores)).job_id

    await stores.jobs.put_off(await claim_job(stores), later(), Report("retry", snippet=snippet))

    (attempt,) = await attempts_of(stores, job_id)
    assert attempt.snippet == kept


async def test_an_attempt_that_was_not_begun_leaves_none(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id

    await stores.jobs.snooze(await claim_job(stores), Snooze(0.0, FAILURE))

    record = await stores.jobs.get(TENANT, job_id)
    assert (record.attempt, record.attempts, record.attempts_made) == (0, (), 0)


async def test_a_lost_attempt_is_appended_when_its_lease_is_taken_away(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores)).job_id
    claim = await claim_job(stores)
    started = clock.now()
    clock.advance(LEASE)

    await stores.jobs.recover()

    (attempt,) = await attempts_of(stores, job_id)
    assert (attempt.number, attempt.epoch, attempt.status) == (1, claim.epoch, "lost")
    assert (attempt.started_at, attempt.finished_at) == (started, clock.now())
    assert attempt.error == "the worker that held this attempt stopped"


async def test_the_attempt_that_fails_a_job_for_good_is_appended_too(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores, session=None)).job_id
    for _ in range(3):
        await claim_job(stores)
        clock.advance(LEASE)
        await stores.jobs.recover()
        await stores.jobs.release_quarantined()

    assert [each.status for each in await attempts_of(stores, job_id)] == ["lost"] * 3


async def test_a_job_that_ends_from_outside_while_it_runs_gets_one(stores: Stores, clock: FakeClock) -> None:
    cancelled, resolved, expired = [
        (await accept(stores, session=None, deadline_seconds=deadline)).job_id for deadline in (600.0, 600.0, 30.0)
    ]
    claims = {claim.id: claim for claim in (await stores.jobs.claim("w", 3, LEASE, roomy())).jobs}
    clock.advance(30)

    await stores.jobs.cancel(TENANT, cancelled)
    await stores.jobs.resolve(resolved, "echo", completed())
    await stores.jobs.expire()

    for job_id, status in ((cancelled, "cancelled"), (resolved, "completed"), (expired, "expired")):
        (attempt,) = await attempts_of(stores, job_id)
        assert (attempt.number, attempt.epoch, attempt.status) == (1, claims[job_id].epoch, status)


async def test_what_a_job_was_put_off_for_is_not_said_again_of_the_attempt_behind_a_lost_lease(
    stores: Stores, clock: FakeClock
) -> None:
    """Given a worker that stopped in the attempt for which the job had been put off."""
    await accept(stores)
    await stores.jobs.snooze(await claim_job(stores), Snooze(0.0, FAILURE))
    await claim_job(stores)
    clock.advance(LEASE)
    await recover(stores)
    claim = await claim_job(stores)
    report = Report("retry", put_off_for=claim.put_off_for)
    await stores.jobs.put_off(claim, later(), report)

    shown = job_details(await stores.jobs.get(TENANT, claim.id)).attempts

    assert [(each.status, each.put_off, each.put_off_for) for each in shown] == [("lost", 1, None), ("retry", 0, None)]


async def test_a_job_that_ends_from_outside_while_it_waits_gets_none(stores: Stores, clock: FakeClock) -> None:
    queued, scheduled, awaiting, held = [
        (await accept(stores, session=session, deadline_seconds=600.0)).job_id for session in ("a", "b", "c", "a")
    ]
    claims = {claim.id: claim for claim in (await stores.jobs.claim("w", 3, LEASE, roomy())).jobs}
    await stores.jobs.release([(queued, claims[queued].epoch)])
    await stores.jobs.put_off(claims[scheduled], later(300.0), Report("retry"))
    await stores.jobs.hand_over(claims[awaiting], 300.0, Report("handed_over"))
    before = {job: await attempts_of(stores, job) for job in (queued, scheduled, awaiting, held)}

    await stores.jobs.resolve(awaiting, "echo", completed())
    await stores.jobs.cancel(TENANT, scheduled)
    await stores.jobs.cancel(TENANT, held)
    clock.advance(600)
    await stores.jobs.expire()

    assert {job: await attempts_of(stores, job) for job in before} == before
    made = [(await stores.jobs.get(TENANT, job)).attempts_made for job in (queued, scheduled, awaiting, held)]
    assert made == [1, 1, 1, 0]
