"""Submitting: checked, once per key, committed before it returns."""

from dataclasses import replace
from typing import Any

import pytest
from shop import Guard

from answerback.jobs.kind import JobState
from answerback.jobs.model import Submission
from answerback.jobs.submit import Submitter, fingerprint
from answerback.kernel.errors import CallbackRefused, Conflict, IdempotencyConflict, InvalidField
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.instruments import Instruments
from answerback.testing.clock import FakeClock
from builders import ROOMY, TENANT, URL, Journal, Notifier, claim_job, ended_job, failed, finish
from databases import Database
from stores import Stores
from toy import EchoKind, Note


class Desk:
    """A submitter with everything around it in view."""

    def __init__(self, stores: Stores, clock: FakeClock, journal: Journal) -> None:
        self.guard = Guard()
        self.notifier = Notifier()
        self.failpoints: list[Failpoint] = []
        instruments = Instruments(journal, clock, failpoint=self.failpoints.append)
        self.submitter = Submitter(stores.jobs, self.guard, self.notifier, ROOMY, 600.0, instruments)


@pytest.fixture
def desk(stores: Stores, clock: FakeClock, journal: Journal) -> Desk:
    return Desk(stores, clock, journal)


def wanted(text: str = "hi", **changes: Any) -> Submission:
    return replace(Submission(EchoKind(), Note(text), TENANT, URL, "s"), **changes)


async def test_a_job_is_stored_and_the_workers_are_notified(stores: Stores, desk: Desk, journal: Journal) -> None:
    accepted = await desk.submitter.submit(wanted("hi"))

    record = await stores.jobs.get(TENANT, accepted.job_id)
    assert (record.state, record.job.args, record.job.callback_url) == (JobState.QUEUED, Note("hi"), URL)
    assert record.deadline_at - record.job.created_at == 600_000
    assert (desk.notifier.jobs, desk.failpoints) == (1, [Failpoint.AFTER_ACCEPT])
    assert journal.events == ["accepted"]


@pytest.mark.parametrize("field", ["callback_url", "callbackUrl"])
async def test_a_refused_address_stores_nothing_and_is_named_as_its_route_names_it(
    desk: Desk, database: Database, field: str
) -> None:
    desk.guard.closed = True
    before = await database.dump()

    with pytest.raises(CallbackRefused) as refused:
        await desk.submitter.submit(wanted(url_field=field))

    assert (refused.value.field, refused.value.message) == (field, f"{field} leads inside")
    assert await database.dump() == before
    assert (desk.notifier.jobs, desk.failpoints) == (0, [])


async def test_what_the_kind_refuses_stores_nothing(desk: Desk, database: Database) -> None:
    with pytest.raises(InvalidField, match="must not be empty"):
        await desk.submitter.submit(wanted(""))

    assert await database.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_without_a_callback_url_no_address_is_checked(stores: Stores, desk: Desk) -> None:
    desk.guard.closed = True

    accepted = await desk.submitter.submit(wanted(callback_url=None))
    await finish(stores, await claim_job(stores))

    record = await stores.jobs.get(TENANT, accepted.job_id)
    assert (record.state, record.deliveries) == (JobState.COMPLETED, ())


async def test_a_repeated_request_gets_its_first_answer_whatever_the_guard_says_now(desk: Desk) -> None:
    first = await desk.submitter.submit(wanted(idempotency_key="key"))
    desk.guard.closed = True

    again = await desk.submitter.submit(wanted(idempotency_key="key"))

    assert (again.job_id, again.created) == (first.job_id, False)
    assert (desk.guard.asked, desk.notifier.jobs) == ([URL], 1)


@pytest.mark.parametrize("other", [wanted("other"), wanted(callback_url=URL + "/other"), wanted(callback_url=None)])
async def test_a_key_used_with_another_body_is_refused(desk: Desk, database: Database, other: Submission) -> None:
    await desk.submitter.submit(wanted(idempotency_key="key"))

    with pytest.raises(IdempotencyConflict):
        await desk.submitter.submit(replace(other, idempotency_key="key"))
    assert await database.rows("SELECT count(*) FROM jobs") == [(1,)]


def test_bodies_are_compared_by_what_they_say_not_by_their_layout() -> None:
    one = fingerprint('{"text": "hi", "metadata": {"a": 1, "b": 2}}', URL)

    assert one == fingerprint('{"metadata":{"b":2,"a":1},"text":"hi"}', URL)
    assert one != fingerprint('{"text": "hi", "metadata": {"a": 1}}', URL)
    assert one != fingerprint('{"text": "hi", "metadata": {"a": 1, "b": true}}', URL)


async def test_a_failed_job_runs_anew_once_at_the_end_of_its_conversation(stores: Stores, desk: Desk) -> None:
    source_id = await ended_job(stores, "again", end=failed())
    await desk.submitter.submit(wanted("in between"))

    retry = await desk.submitter.retry(TENANT, source_id)
    twin = await desk.submitter.retry(TENANT, source_id)

    assert (retry.position, retry.created) == (3, True)
    assert (twin.job_id, twin.created) == (retry.job_id, False)
    again = (await stores.jobs.get(TENANT, retry.job_id)).job
    assert (again.kind, again.args) == ("echo", Note("again"))
    assert (await stores.jobs.get(TENANT, source_id)).state == JobState.FAILED


async def test_a_retry_is_checked_too(stores: Stores, desk: Desk, database: Database) -> None:
    source_id = await ended_job(stores, end=failed())
    desk.guard.closed = True

    with pytest.raises(CallbackRefused):
        await desk.submitter.retry(TENANT, source_id)
    assert await database.rows("SELECT count(*) FROM jobs") == [(1,)]


async def test_a_completed_job_does_not_run_anew(stores: Stores, desk: Desk) -> None:
    with pytest.raises(Conflict):
        await desk.submitter.retry(TENANT, await ended_job(stores))
