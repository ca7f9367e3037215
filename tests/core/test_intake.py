"""Accepting: guarded, once per key, committed before anyone hears of it."""

import pytest

from answerback.jobs.model import JobState, Message
from answerback.jobs.submit import Intake, fingerprint
from answerback.kernel.errors import CallbackRefused, Conflict, IdempotencyConflict, InvalidField
from answerback.kernel.failpoints import Failpoint
from answerback.reviews.model import FileRef, Review
from builders import ROOMY, TENANT, URL, Journal, Notifier, claim_job, ended_job, failed, finish, nothing
from databases import Database
from stores import Stores


class Guard:
    """Implements `Guard`: open until told otherwise."""

    def __init__(self) -> None:
        self.closed = False
        self.forbidden = ""
        self.asked: list[str] = []

    async def check(self, url: str) -> None:
        self.asked.append(url)
        if self.closed:
            raise CallbackRefused("not there")
        if url == self.forbidden:
            raise CallbackRefused("callback_url leads inside")


class Door:
    def __init__(self, stores: Stores) -> None:
        self.guard = Guard()
        self.notifier = Notifier()
        self.boundaries: list[Failpoint] = []
        self.journal = Journal()
        self.intake = Intake(stores, self.guard, self.notifier, ROOMY, 600.0, self.journal, self.boundaries.append)


@pytest.fixture
def door(stores: Stores) -> Door:
    return Door(stores)


async def test_an_accepted_message_is_stored_and_the_engine_is_told(stores: Stores, door: Door) -> None:
    accepted = await door.intake.accept(TENANT, Message("hi", session_id="s"), URL)

    record = await stores.jobs.get(TENANT, accepted.job_id)
    assert (record.state, record.job.callback_url) == (JobState.QUEUED, URL)
    assert record.job.deadline_at - record.job.created_at == 600_000
    assert (door.notifier.jobs, door.boundaries) == (1, [Failpoint.AFTER_ACCEPT])


async def test_a_refused_address_stores_nothing(door: Door, stores: Stores, database: Database) -> None:
    door.guard.closed = True
    before = await database.dump()

    with pytest.raises(CallbackRefused):
        await door.intake.accept(TENANT, Message("hi"), URL)

    assert await database.dump() == before
    assert (door.notifier.jobs, door.boundaries) == (0, [])


async def test_the_files_that_the_service_reads_are_guarded_too(door: Door, stores: Stores) -> None:
    review = Review("essay", (FileRef("http://f/1"), FileRef("http://inside/2")))
    door.guard.forbidden = "http://inside/2"
    reading = Intake(stores, door.guard, door.notifier, ROOMY, 600.0, door.journal, nothing, reads_files=True)

    with pytest.raises(InvalidField) as refused:
        await reading.accept(TENANT, review, URL)
    assert (refused.value.field, refused.value.message) == ("file_refs.1.url", "url leads inside")

    # Whoever takes reviews fetches them in a network of its own.
    assert (await door.intake.accept(TENANT, review, URL)).created


async def test_without_a_session_the_callback_url_names_the_line(stores: Stores, door: Door) -> None:
    first = await door.intake.accept(TENANT, Message("a"), URL)
    second = await door.intake.accept(TENANT, Message("b"), URL)
    elsewhere = await door.intake.accept(TENANT, Message("c"), URL + "/other")

    assert [first.seq, second.seq, elsewhere.seq] == [1, 2, 1]


async def test_a_repeated_request_hears_its_first_answer_whatever_the_guard_says_now(door: Door) -> None:
    first = await door.intake.accept(TENANT, Message("hi"), URL, "key")
    door.guard.closed = True

    again = await door.intake.accept(TENANT, Message("hi"), URL, "key")

    assert (again.job_id, again.created) == (first.job_id, False)
    assert door.guard.asked == [URL]
    assert door.notifier.jobs == 1


@pytest.mark.parametrize(
    ("message", "url"),
    [
        (Message("other"), URL),
        (Message("hi"), URL + "/other"),
        (Message("hi", metadata={"a": 1}), URL),
        (Message("hi", temperature=0.0), URL),
    ],
)
async def test_a_key_used_with_another_body_is_refused(
    door: Door, database: Database, message: Message, url: str
) -> None:
    await door.intake.accept(TENANT, Message("hi"), URL, "key")

    with pytest.raises(IdempotencyConflict):
        await door.intake.accept(TENANT, message, url, "key")
    assert await database.rows("SELECT count(*) FROM jobs") == [(1,)]


def test_bodies_are_told_apart_by_what_they_say_not_by_their_layout() -> None:
    one = fingerprint(Message("hi", metadata={"a": 1, "b": 2}), URL)
    same = fingerprint(Message("hi", metadata={"b": 2, "a": 1}), URL)

    assert one == same
    assert one != fingerprint(Message("hi", metadata={"a": 1}), URL)


async def test_a_failed_job_runs_anew_once_at_the_end_of_its_line(stores: Stores, door: Door) -> None:
    source_id = await ended_job(stores, "again", ending=failed())
    await door.intake.accept(TENANT, Message("in between", session_id="s"), URL)

    source, accepted = await door.intake.retry(TENANT, source_id)
    _, twin = await door.intake.retry(TENANT, source_id)

    assert (source.id, accepted.seq, accepted.created) == (source_id, 3, True)
    assert (twin.job_id, twin.created) == (accepted.job_id, False)
    assert (await stores.jobs.get(TENANT, accepted.job_id)).job.request == source.request
    assert (await stores.jobs.get(TENANT, source_id)).state == JobState.FAILED


async def test_a_retry_is_guarded_too(stores: Stores, door: Door, database: Database) -> None:
    source_id = await ended_job(stores, ending=failed())
    door.guard.closed = True

    with pytest.raises(CallbackRefused):
        await door.intake.retry(TENANT, source_id)
    assert await database.rows("SELECT count(*) FROM jobs") == [(1,)]


async def test_a_completed_job_does_not_run_anew(stores: Stores, door: Door) -> None:
    accepted = await door.intake.accept(TENANT, Message("hi", session_id="s"), URL)
    await finish(stores, await claim_job(stores))

    with pytest.raises(Conflict):
        await door.intake.retry(TENANT, accepted.job_id)
