"""A kind of job that one file defines passes through everything: accepted, run, delivered, and run again after a
crash."""

import pytest
from shop import Shop

from answerback.jobs.bodies import job_details
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobRecord
from answerback.kernel.errors import InvalidField
from builders import TENANT, URL, claim_job, roomy
from databases import Database


async def record_of(shop: Shop, job_id: str) -> JobRecord:
    return await shop.stores.jobs.get(TENANT, job_id)


async def settled(shop: Shop, callbacks: int) -> None:
    """Starts the engine, and stops it once so many callbacks have been delivered."""
    shop.engine.start()
    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == callbacks)
    await shop.engine.stop()


async def test_it_is_accepted_run_and_delivered(shop: Shop) -> None:
    accepted = await shop.submit("hello")

    await settled(shop, 1)

    ((url, headers, _),) = shop.mailbox.sent
    assert (url, headers["webhook-id"][:4]) == (URL, "msg_")
    assert shop.mailbox.bodies == [{"job_id": accepted.job_id, "status": "completed", "echo": "hello"}]
    details = job_details(await record_of(shop, accepted.job_id)).model_dump()
    assert (details["kind"], details["status"], details["seq"]) == ("echo", JobState.COMPLETED, 1)
    assert (details["length"], details["text"]) == (5, "hello")
    assert [each["status"] for each in details["attempts"]] == ["answered"]
    assert [each["status"] for each in details["deliveries"]] == ["delivered"]
    (entry,) = (await shop.stores.conversations.show(TENANT, "s")).entries
    assert entry.items == [{"type": "message", "text": "hello"}]


async def test_what_it_refuses_is_not_accepted(shop: Shop, database: Database) -> None:
    with pytest.raises(InvalidField, match="must not be empty"):
        await shop.submit("")

    assert await database.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_a_worker_that_vanishes_costs_one_more_run_and_no_second_callback(shop: Shop) -> None:
    accepted = await shop.submit("hello")
    behind = await shop.submit("behind")
    await shop.stores.jobs.claim("a worker that vanishes", 1, 0.001, roomy())

    await settled(shop, 2)

    assert [body["job_id"] for body in shop.mailbox.bodies] == [accepted.job_id, behind.job_id]
    record = await record_of(shop, accepted.job_id)
    assert (record.state, record.attempt, record.lease_losses) == (JobState.COMPLETED, 1, 1)
    assert [each.status for each in record.attempts] == ["lost", "answered"]


async def test_a_worker_that_lost_its_lease_and_lives_on_writes_nothing(shop: Shop) -> None:
    accepted = await shop.submit("hello")
    (stale,) = (await shop.stores.jobs.claim("a worker that stalls", 1, 0.001, roomy())).jobs
    while not (await shop.stores.jobs.recover()).total():
        pass
    current = await claim_job(shop.stores)

    await shop.runner.run(stale)
    assert "stale_result_discarded" in shop.journal.events
    await shop.runner.run(current)
    await settled(shop, 1)

    assert shop.kind.runs == 2
    assert shop.mailbox.bodies == [{"job_id": accepted.job_id, "status": "completed", "echo": "hello"}]
