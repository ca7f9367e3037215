"""One attempt at a job, and what comes of each way in which it can go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.deadline import CUT_OFF
from answerback.jobs.kind import Claimed, JobState, Registry
from answerback.jobs.model import JobRecord
from answerback.jobs.outcome import Awaiting, Completed, Failed, Outcome, Retry, Snooze
from answerback.jobs.run import JobRunner
from answerback.kernel.errors import ErrorCode, OutcomeUnknown, StorageUnavailable
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import Metrics
from answerback.testing.clock import FakeClock
from builders import (
    LEASE,
    STORED_FAILURE,
    TENANT,
    Journal,
    NoPlaces,
    Notifier,
    accept,
    claim_job,
    claim_jobs,
    refusal,
    state_of,
)
from stores import Stores
from toy import EchoKind, Note

DONE = Completed({"text": "hi"}, seconds=0.1, about={"model": "m"})
RATE_LIMIT = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "later", retryable=True, retry_after=3_600.0)
NO_SLOT = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "busy", retryable=True, retry_after=0.25, asked=False)

Step = Outcome | Exception | Callable[[], Awaitable[Outcome]]


class Scripted(EchoKind):
    """Ends as the script says: an outcome, an error to raise, or what a function returns. The last stays."""

    def __init__(self, *script: Step) -> None:
        super().__init__()
        self.script = list(script)

    async def run(self, claim: Claimed[Note]) -> Outcome:
        self.runs += 1
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Completed | Failed | Retry | Snooze | Awaiting) else await step()


class Ends(Metrics):
    """Counts the jobs that ended."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def ended(self, state: str, code: ErrorCode | None = None, count: int = 1) -> None:
        self.states.append(state)


class Desk:
    """A runner with everything around it in view."""

    def __init__(self, stores: Stores, clock: FakeClock, journal: Journal) -> None:
        self.stores = stores
        self.clock = clock
        self.journal = journal
        self.notifier = Notifier()
        self.failpoints: list[Failpoint] = []
        self.on_failpoint: Callable[[Failpoint], None] = self.failpoints.append
        self.metrics = Ends()

    def runner(self, kind: EchoKind) -> JobRunner:
        instruments = Instruments(self.journal, self.clock, self.metrics, failpoint=self.on_failpoint)
        windows = DatabaseWindows(self.stores.conversations)
        return JobRunner(self.stores.jobs, Registry([kind]), self.notifier, windows, NoPlaces(), instruments)

    async def attempt(self, kind: EchoKind) -> JobRecord:
        """Makes the one attempt that is due."""
        claim = await claim_job(self.stores)
        await self.runner(kind).run(claim)
        return await self.stores.jobs.get(TENANT, claim.id)


@pytest.fixture
def desk(stores: Stores, clock: FakeClock, journal: Journal) -> Desk:
    return Desk(stores, clock, journal)


async def test_an_answer_completes_the_job_and_wakes_both_worker_pools(desk: Desk) -> None:
    await accept(desk.stores)
    await accept(desk.stores, "held until the first is answered")

    record = await desk.attempt(Scripted(DONE))

    assert record.ending is not None
    assert (record.state, record.ending.result) == (JobState.COMPLETED, {"text": "hi"})
    assert [each.status for each in record.attempts] == ["answered"]
    assert (desk.notifier.jobs, desk.notifier.deliveries) == (1, 1)
    assert desk.failpoints == [Failpoint.AFTER_CLAIM, Failpoint.AFTER_ANSWER, Failpoint.AFTER_FINISH]
    ((event, fields),) = desk.journal.lines
    assert (event, fields["model"]) == ("answered", "m")


async def test_the_log_says_that_a_callback_is_held_and_behind_which(desk: Desk) -> None:
    # Given two messages of one conversation, of which the first's callback is not delivered yet
    first = await accept(desk.stores)
    second = await accept(desk.stores, "held until the first is answered")
    await desk.attempt(Scripted(DONE))
    # When the second is answered
    record = await desk.attempt(Scripted(DONE))

    fields = dict(desk.journal.lines)["callback_held"]
    assert (fields["job"], fields["behind"]) == (second.job_id, first.job_id)
    assert fields["delivery"] == record.deliveries[0].id


@pytest.mark.parametrize(
    ("deadline", "words"), [(0.005, CUT_OFF), (60.0, "the upstream did not answer within 0.005 s")]
)
async def test_a_call_that_the_deadline_cuts_off_names_it(desk: Desk, deadline: float, words: str) -> None:
    await accept(desk.stores, deadline_seconds=deadline)
    late = ProviderError(ErrorCode.UPSTREAM_TIMEOUT, "the upstream did not answer within 0.005 s", retryable=True)

    record = await desk.attempt(Scripted(late))

    assert record.failure is not None
    assert record.failure.message == words
    assert [each.error for each in record.attempts] == [f"upstream_timeout: {words}"]


@pytest.mark.parametrize(
    ("wait", "deadline", "due_in"),
    [(86_400, 86_400, 86_280), (3_600, 3_600, 3_480), (3_600, 60, 54), (3_600, 9, 3_600), (600, 3_600, 600)],
)
@pytest.mark.parametrize("asked", [True, False])
async def test_a_wait_ends_while_there_is_time_for_a_last_try(
    desk: Desk, wait: int, deadline: int, due_in: int, *, asked: bool
) -> None:
    await accept(desk.stores, deadline_seconds=deadline)
    limited = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "", retryable=True, retry_after=wait, asked=asked)

    record = await desk.attempt(Scripted(limited))

    assert due_in - 2 <= (record.run_at - desk.clock.now()) / 1000 <= due_in + 61


async def test_an_answer_that_makes_nothing_due_wakes_no_worker_pool(desk: Desk) -> None:
    await accept(desk.stores, callback_url=None)

    await desk.attempt(Scripted(DONE))

    assert (desk.notifier.jobs, desk.notifier.deliveries) == (0, 0)


async def test_a_failure_that_may_pass_schedules_the_job_and_counts(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.attempt(Scripted(refusal(retryable=True)))

    assert (record.state, record.attempt, record.failure) == (JobState.SCHEDULED, 1, STORED_FAILURE)
    assert 1_600 <= record.run_at - desk.clock.now() <= 2_400
    assert [(each.status, each.error) for each in record.attempts] == [
        ("retry", "upstream_error: the LLM is not well"),
    ]  # fmt: skip
    assert desk.notifier.jobs == 1


@pytest.mark.parametrize("retryable", [True, False])
async def test_the_status_of_the_llm_stands_with_the_attempt(desk: Desk, *, retryable: bool) -> None:
    await accept(desk.stores)

    record = await desk.attempt(
        Scripted(ProviderError(ErrorCode.UPSTREAM_ERROR, "no", retryable=retryable, http_status=503))
    )

    assert [each.http_status for each in record.attempts] == [503]


async def test_a_rate_limit_that_names_its_end_is_waited_for_and_costs_no_attempt(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.attempt(Scripted(RATE_LIMIT))

    assert (record.state, record.attempt) == (JobState.SCHEDULED, 0)
    assert 3_600_000 <= record.run_at - desk.clock.now() <= 4_320_000


async def test_a_call_that_found_no_slot_is_made_later_and_leaves_no_attempt(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.attempt(Scripted(NO_SLOT))

    assert (record.state, record.attempt, record.attempts, record.attempts_made) == (JobState.SCHEDULED, 0, (), 0)
    assert record.run_at - desk.clock.now() == 250
    assert desk.journal.events == ["waits_for_its_turn"]


async def test_an_attempt_says_what_it_was_put_off_for(desk: Desk) -> None:
    await accept(desk.stores)
    kind = Scripted(NO_SLOT, refusal(retryable=True), DONE)
    for _ in range(3):
        record = await desk.attempt(kind)
        desk.clock.advance(600)

    put_off_for = [each.put_off_for for each in record.attempts]
    assert put_off_for == [{"code": "upstream_rate_limited", "message": "busy"}, None]


async def test_a_final_failure_ends_the_job(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.attempt(Scripted(refusal(retryable=False)))

    assert (record.state, record.failure) == (JobState.FAILED, STORED_FAILURE)
    assert len(record.deliveries) == 1
    assert (desk.notifier.deliveries, desk.journal.events) == (1, ["failed"])


async def test_a_job_that_an_llm_has_taken_awaits_its_webhook(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.attempt(Scripted(Awaiting(30.0)))

    assert (record.state, record.run_at - desk.clock.now()) == (JobState.AWAITING, 30_000)
    assert [each.status for each in record.attempts] == ["handed_over"]
    assert desk.journal.events == ["handed_over"]


async def test_an_llm_that_keeps_failing_is_asked_twelve_times(desk: Desk) -> None:
    await accept(desk.stores)
    kind = Scripted(refusal(retryable=True))

    for _ in range(12):
        record = await desk.attempt(kind)
        desk.clock.advance(1_200)

    assert (record.state, kind.runs, record.attempts_made) == (JobState.FAILED, 12, 12)
    assert await claim_jobs(desk.stores) == []


async def test_a_kind_that_breaks_is_logged_and_tried_again(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.attempt(Scripted(ZeroDivisionError("our own fault")))

    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.SCHEDULED, ErrorCode.INTERNAL)
    assert "our own fault" not in record.failure.message
    assert "job_broke" in desk.journal.events


async def test_an_answer_that_cannot_be_stored_fails_the_job_and_is_not_asked_for_again(desk: Desk) -> None:
    await accept(desk.stores)
    kind = Scripted(Completed({"text": object()}))

    record = await desk.attempt(kind)

    assert record.failure is not None
    assert (record.state, record.failure.code, kind.runs) == (JobState.FAILED, ErrorCode.INTERNAL, 1)
    assert "outcome_broke" in desk.journal.events
    assert desk.notifier.deliveries == 1


async def test_an_answer_to_a_job_that_was_taken_away_is_discarded(desk: Desk) -> None:
    async def slow() -> Outcome:
        desk.clock.advance(LEASE)
        await desk.stores.jobs.recover()
        return DONE

    await accept(desk.stores)

    record = await desk.attempt(Scripted(slow))

    assert (record.state, record.ending) == (JobState.QUEUED, None)
    assert desk.journal.events == ["stale_result_discarded"]
    assert desk.notifier.deliveries == 0


async def test_an_answer_after_the_lease_counts_if_no_worker_took_the_job(desk: Desk) -> None:
    async def slow() -> Outcome:
        desk.clock.advance(LEASE * 10)
        return DONE

    await accept(desk.stores)

    record = await desk.attempt(Scripted(slow))

    assert (record.state, record.lease_losses) == (JobState.COMPLETED, 0)


async def test_a_paid_answer_outlasts_a_database_that_is_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, tries = desk.stores.jobs.finish, 0

    async def flaky(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StorageUnavailable("database is locked")
        return await finish(*arguments)

    monkeypatch.setattr(desk.stores.jobs, "finish", flaky)
    await accept(desk.stores)
    kind = Scripted(DONE)

    record = await desk.attempt(kind)

    assert (record.state, kind.runs, tries) == (JobState.COMPLETED, 1, 3)


async def test_a_cancellation_that_comes_with_the_answer_does_not_lose_it(desk: Desk) -> None:
    job_id = (await accept(desk.stores)).job_id
    task: asyncio.Task[None]

    def cancelling(failpoint: Failpoint) -> None:
        if failpoint is Failpoint.AFTER_ANSWER:
            task.cancel()

    desk.on_failpoint = cancelling
    task = asyncio.ensure_future(desk.runner(Scripted(DONE)).run(await claim_job(desk.stores)))

    await task

    await desk.journal.seen("answered")
    assert await state_of(desk.stores, job_id) == JobState.COMPLETED
    assert desk.metrics.states == ["completed"]


def unconfirmed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, instead: Callable[[], Awaitable[object]] | None = None
) -> None:
    """The next write of an outcome is committed, or `instead` happens, and the answer to it is lost."""
    lost = asyncio.Event()

    def losing(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*arguments: Any) -> Any:
            if lost.is_set():
                return await write(*arguments)
            lost.set()
            await (write(*arguments) if instead is None else instead())
            raise OutcomeUnknown("connection was closed in the middle of operation")

        return run

    for name in ("finish", "put_off", "snooze", "hand_over"):
        monkeypatch.setattr(stores.jobs, name, losing(getattr(stores.jobs, name)))


@pytest.mark.parametrize(
    ("step", "event", "state"),
    [
        (DONE, "answered", JobState.COMPLETED),
        (refusal(retryable=False), "failed", JobState.FAILED),
        (refusal(retryable=True), "retry", JobState.SCHEDULED),
        (Awaiting(30.0), "handed_over", JobState.AWAITING),
    ],
)
async def test_an_outcome_whose_commit_was_not_answered_is_reported_as_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: Step, event: str, state: JobState
) -> None:
    await accept(desk.stores, session=None)
    unconfirmed(desk.stores, monkeypatch)

    record = await desk.attempt(Scripted(step))

    assert (record.state, len(record.attempts)) == (state, 1)
    assert desk.journal.events == [event]


async def test_the_outcome_of_a_job_that_ended_otherwise_meanwhile_is_discarded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await accept(desk.stores)).job_id
    unconfirmed(desk.stores, monkeypatch, instead=lambda: desk.stores.jobs.cancel(TENANT, job_id))

    record = await desk.attempt(Scripted(DONE))

    assert record.state == JobState.CANCELLED
    assert desk.journal.events == ["stale_result_discarded"]
