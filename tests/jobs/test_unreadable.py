"""Rows that another version of this service wrote, as during a rolling upgrade or after a rollback: they wait for that
version, and neither stop the others nor outlive their deadline."""

import json
from collections.abc import Awaitable, Callable

import pytest

from answerback.jobs.bodies import job_body, job_details
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter
from answerback.kernel.errors import Conflict
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import DeliveryState
from builders import (
    LEASE,
    REPORT,
    TENANT,
    accept,
    claim_delivery,
    claim_job,
    claim_jobs,
    completed,
    ended_job,
    failed,
    finish,
    later,
    roomy,
)
from databases import Database
from stores import Stores

FOREIGN = {
    "a kind": "kind = 'poem'",
    "no field": "args = '{}'",
    "another shape": "args = '[\"hi\"]'",
    "a number": "args = '7'",
    "no json": "args = 'hi'",
}
foreign = pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)


async def foreign_job(stores: Stores, database: Database, change: str, session: str | None = None) -> str:
    job_id = (await accept(stores, session=session, deadline_seconds=1_000.0)).job_id
    await database.execute(f"UPDATE jobs SET {change} WHERE id = '{job_id}'")
    return job_id


async def state(database: Database, job_id: str) -> tuple[object, ...]:
    (row,) = await database.rows(f"SELECT state, attempt, lease_losses, run_at FROM jobs WHERE id = '{job_id}'")
    return row


@foreign
async def test_it_is_left_for_later_while_the_others_are_claimed(
    stores: Stores, database: Database, clock: FakeClock, change: str
) -> None:
    job_id = await foreign_job(stores, database, change)
    other = (await accept(stores, session=None)).job_id

    claims = await stores.jobs.claim("worker", 10, LEASE, roomy())

    assert ([claim.id for claim in claims.jobs], claims.unreadable) == ([other], [job_id])
    assert await state(database, job_id) == ("scheduled", 0, 0, clock.now() + 60_000)
    assert await database.rows(f"SELECT attempts_made FROM jobs WHERE id = '{job_id}'") == [(0,)]
    again = await stores.jobs.claim("worker", 10, LEASE, roomy())
    assert (again.jobs, again.unreadable, again.next_in) == ([], [], 60.0)


async def test_many_of_them_do_not_keep_a_claim_from_what_is_behind_them(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    for _ in range(4):
        await foreign_job(stores, database, FOREIGN["no field"])
    clock.advance(1)
    other = (await accept(stores, session=None)).job_id

    first, second, third = [await stores.jobs.claim("worker", 2, LEASE, roomy()) for _ in range(3)]

    assert [len(each.unreadable) for each in (first, second, third)] == [2, 2, 0]
    assert (first.next_in, [claim.id for claim in third.jobs]) == (0.0, [other])


async def test_a_version_that_can_read_it_answers_it(stores: Stores, database: Database, clock: FakeClock) -> None:
    job_id = await foreign_job(stores, database, FOREIGN["no field"])
    await claim_jobs(stores)
    await database.execute('UPDATE jobs SET args = \'{"text": "hi"}\'')
    clock.advance(60)

    claim = await claim_job(stores)

    assert (claim.id, claim.attempt) == (job_id, 1)
    assert await finish(stores, claim)


@foreign
async def test_its_deadline_ends_it_and_the_sweep_goes_on(
    stores: Stores, database: Database, clock: FakeClock, change: str
) -> None:
    job_id = await foreign_job(stores, database, change, session="s")
    clock.advance(1)
    behind = (await accept(stores, deadline_seconds=1_000.0)).job_id
    clock.advance(1_000)

    assert (await stores.jobs.expire())["jobs_expired"] == 2

    assert (await state(database, job_id))[0] == "expired"
    first = await claim_delivery(stores)
    body = json.loads(first.body)
    assert (body["job_id"], body["status"]) == (job_id, "expired")
    assert await stores.deliveries.delivered(first, REPORT)
    assert (await claim_delivery(stores)).job_id == behind


async def test_one_that_stops_its_workers_ends_as_poisoned(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    job_id = await foreign_job(stores, database, FOREIGN["a kind"])
    await database.execute(
        f"UPDATE jobs SET state = 'running', lease_losses = 2, first_loss_at = {clock.now()}, "
        f"claimed_at = {clock.now()}, lease_expires_at = {clock.now()}"
    )

    assert (await stores.jobs.recover())["jobs_poisoned"] == 1

    assert (await state(database, job_id))[0] == "failed"


async def test_a_job_that_was_never_answered_fails_though_it_cannot_be_read(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    job_id = (await accept(stores, session=None)).job_id
    assert await stores.jobs.hand_over(await claim_job(stores), 100.0, REPORT)
    await database.execute(f"UPDATE jobs SET {FOREIGN['no field']}")
    clock.advance(100)

    assert (await stores.jobs.expire())["jobs_unanswered"] == 1

    assert (await state(database, job_id))[0] == JobState.FAILED
    assert json.loads((await claim_delivery(stores)).body)["status"] == "failed"


async def ended(stores: Stores) -> str:
    return await ended_job(stores, end=failed())


async def waiting(stores: Stores) -> str:
    await accept(stores)
    claim = await claim_job(stores)
    assert await stores.jobs.put_off(claim, later(), REPORT)
    return claim.id


@pytest.mark.parametrize("made", [ended, waiting])
async def test_an_error_that_only_another_version_knows_is_shown_as_it_is(
    stores: Stores, database: Database, made: Callable[[Stores], Awaitable[str]]
) -> None:
    error = {"code": "upstream_on_strike", "message": "the LLM is on strike"}
    job_id = await made(stores)
    await database.execute(f"UPDATE jobs SET error = '{json.dumps(error)}'")

    (listed,) = [job_body(record) for record in (await stores.jobs.list(JobFilter(TENANT), None, 10)).records]
    page = job_details(await stores.jobs.get(TENANT, job_id))

    assert [json.loads(each.model_dump_json())["error"] for each in (listed, page)] == [error, error]


async def test_states_that_only_another_version_knows_are_shown_as_they_are(stores: Stores, database: Database) -> None:
    job_id = await ended_job(stores, end=failed())
    assert await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    await database.execute("UPDATE jobs SET state = 'archived'")
    of_newer_job = await stores.jobs.list(JobFilter(TENANT, delivery=DeliveryState.DELIVERED), None, 10)
    await database.execute("UPDATE jobs SET state = 'failed'")
    await database.execute("UPDATE deliveries SET state = 'parked'")
    of_newer_delivery = await stores.jobs.list(JobFilter(TENANT), None, 10)
    await database.execute("UPDATE jobs SET state = 'archived'")
    page = await stores.jobs.get(TENANT, job_id)

    (first,), (second,) = [map(job_body, each.records) for each in (of_newer_job, of_newer_delivery)]
    shown = [json.loads(each.model_dump_json()) for each in (first, second, job_details(page))]
    assert [(each["status"], each["delivery"]["status"]) for each in shown] == [
        ("archived", "delivered"),
        ("failed", "parked"),
        ("archived", "parked"),
    ]


async def test_an_answer_too_late_for_such_an_error_is_refused_with_it(stores: Stores, database: Database) -> None:
    job_id = await ended(stores)
    await database.execute('UPDATE jobs SET error = \'{"code": "upstream_on_strike", "message": "no"}\'')

    with pytest.raises(Conflict, match=r"is failed \(upstream_on_strike\) already"):
        await stores.jobs.resolve(job_id, "echo", completed())
