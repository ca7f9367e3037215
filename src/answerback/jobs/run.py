"""Answering one job: context, provider, outcome, one report. A review goes to the reviewer, the rest is the same."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import assert_never

from answerback.conversations.memory import DatabaseWindows, context
from answerback.conversations.ports import Windows
from answerback.jobs.model import ClaimedJob, Ending, JobState, Message, Request
from answerback.jobs.outcome import Answered, AskLater, Awaiting, Failed, JobOutcome, after_provider_error
from answerback.jobs.ports import Store
from answerback.kernel.errors import ErrorCode, Failure, ProviderError
from answerback.kernel.failpoints import Failpoint, OnFailpoint
from answerback.kernel.log import Log
from answerback.kernel.persistence import persist, persist_report
from answerback.kernel.retry import JOB_SCHEDULE, RetrySchedule
from answerback.kernel.telemetry import UNMEASURED, UNTRACED, Metrics, Span, SpanKind, Tracer
from answerback.llm.model import ChatRequest, Json, Memory
from answerback.llm.provider import Provider, send_whole
from answerback.queue.notifier import Notifier
from answerback.reviews.model import Review
from answerback.reviews.run import Reviewer
from answerback.webhooks.model import Report


class Executor:
    """Runs claimed jobs. `timeout` bounds one call to the LLM, in seconds. Without a `reviewer` it takes messages
    only."""

    def __init__(
        self,
        store: Store,
        provider: Provider,
        notifier: Notifier,
        memory: Memory,
        timeout: float,
        log: Log,
        failpoint: OnFailpoint,
        reviewer: Reviewer | None = None,
        metrics: Metrics = UNMEASURED,
        tracer: Tracer = UNTRACED,
        windows: Windows | None = None,
    ) -> None:
        self._store = store
        self._provider = provider
        self._notifier = notifier
        self._memory = memory
        self._timeout = timeout
        self._log = log
        self._failpoint = failpoint
        self._reviewer = reviewer
        self._metrics = metrics
        self._tracer = tracer
        self._windows = windows or DatabaseWindows(store, memory)

    async def run(self, claim: ClaimedJob) -> None:
        """Asks, then commits what came of it. Cancelling it leaves the row to whoever holds the lease."""
        self._failpoint(Failpoint.AFTER_CLAIM)
        job = claim.job
        about = {"answerback.job.id": job.id, "answerback.kind": job.kind.value, "answerback.attempt": claim.attempt}
        with self._tracer.span("answer", SpanKind.CONSUMER, about, job.traceparent) as span:
            await self._run(claim, span)

    async def _run(self, claim: ClaimedJob, span: Span) -> None:
        started = time.perf_counter()
        outcome = await self._ask(claim)
        duration_ms = int((time.perf_counter() - started) * 1000)
        self._failpoint(Failpoint.AFTER_ANSWER)
        if isinstance(outcome, Failed | AskLater):
            span.fail(outcome.failure.code.value)
        # A paid answer is worth more than a prompt cancellation: once it is there, its commit is seen through.
        kept = await asyncio.shield(self._settle(claim, outcome, duration_ms))
        if kept:
            self._measure(claim, outcome, time.perf_counter() - started)

    async def _ask(self, claim: ClaimedJob) -> JobOutcome:
        # By the database's clock, which read `claimed_at` a moment ago: this machine's may be minutes off.
        seconds_left = (claim.job.deadline_at - claim.claimed_at) / 1000
        schedule = self._schedule(claim.job.request)
        try:
            return await self._answer(claim, max(0.001, min(self._timeout, seconds_left)))
        except ProviderError as error:
            return after_provider_error(error, claim.attempt, schedule, random.random)
        except Exception:  # noqa: BLE001 - whatever breaks, the job must end or be tried again
            self._log.exception("job_broke", job=claim.id)
            failure = ProviderError(
                ErrorCode.INTERNAL, "the relay failed while asking the LLM; the operator's log says why", retryable=True
            )
            return after_provider_error(failure, claim.attempt, schedule, random.random)

    async def _answer(self, claim: ClaimedJob, timeout: float) -> Answered | Awaiting:
        """One attempt by whoever answers this kind of job. Raises ProviderError."""
        job = claim.job
        match job.request:
            case Message() as message:
                said = await persist(lambda: context(self._windows, self._memory, claim, message))
                request = ChatRequest(body_of(message, said), timeout, queued=True)
                asked_at = time.perf_counter()
                answer = (await send_whole(self._provider, request)).answer()
                return Answered(answer, time.perf_counter() - asked_at)
            case Review() as review:
                if self._reviewer is None:
                    raise AssertionError("a review came to an executor of messages")
                return await self._reviewer.review(job, review, timeout)
            case _:
                assert_never(job.request)

    def _schedule(self, request: Request) -> RetrySchedule:
        return self._reviewer.schedule if isinstance(request, Review) and self._reviewer else JOB_SCHEDULE

    async def _settle(self, claim: ClaimedJob, outcome: JobOutcome, duration_ms: int) -> bool:
        kept = await self._keep(claim, outcome, duration_ms)
        self._report(claim, outcome, duration_ms, kept)
        return kept

    async def _keep(self, claim: ClaimedJob, outcome: JobOutcome, duration_ms: int) -> bool:
        match outcome:
            case Answered(answer):
                ending = Ending(JobState.COMPLETED, answer=answer)
                return await self._finish(claim, ending, Report("answered", duration_ms=duration_ms))
            case Failed(failure, status):
                ending = Ending(JobState.FAILED, failure=failure)
                return await self._finish(claim, ending, _report("failed", failure, status, duration_ms))
            case Awaiting(seconds):
                handed_over = Report("handed_over", duration_ms=duration_ms)
                return await self._persist(
                    claim, handed_over, lambda: self._store.hand_over(claim, seconds, handed_over)
                )
            case AskLater(delay, failure, counted, asked, status):
                report = _report("retry", failure, status, duration_ms) if asked else None
                kept = await self._persist(
                    claim, report, lambda: self._store.requeue(claim, delay, counted, failure, report)
                )
                # The engine sleeps until the next due row; this may be it.
                self._notifier.job_ready()
                return kept
            case _:
                assert_never(outcome)

    async def _finish(self, claim: ClaimedJob, ending: Ending, report: Report) -> bool:
        kept = await self._persist(claim, report, lambda: self._store.finish(claim, ending, report))
        if kept:
            self._failpoint(Failpoint.AFTER_FINISH)
            self._notifier.delivery_ready()
            if claim.job.conversation_id is not None:
                await self._windows.ended(claim, ending, claim.claimed_at + (report.duration_ms or 0))
                self._notifier.job_ready()
        return kept

    async def _persist(self, claim: ClaimedJob, report: Report | None, write: Callable[[], Awaitable[bool]]) -> bool:
        if report is None:
            return await persist(write)
        return await persist_report(write, lambda: self._store.reported(claim.id, claim.epoch, report))

    def _report(self, claim: ClaimedJob, outcome: JobOutcome, duration_ms: int, kept: bool) -> None:
        fields: dict[str, object] = {"job": claim.id, "attempt": claim.attempt, "ms": duration_ms}
        if not kept:
            self._log.warning("stale_result_discarded", **fields)
            return
        match outcome:
            case Answered(answer):
                tokens = answer.usage.total_tokens if answer.usage else None
                self._log.info("answered", **fields, model=answer.model, tokens=tokens)
            case Failed(failure):
                self._log.warning("failed", **fields, code=failure.code.value, reason=failure.message)
            case Awaiting(seconds):
                self._log.info("handed_over", **fields, awaited_seconds=seconds)
            case AskLater(delay, failure, _, asked):
                retry_in = round(delay, 3)
                if not asked:
                    self._log.info("waits_for_its_turn", **fields, code=failure.code.value, retry_in=retry_in)
                    return
                self._log.warning("retry", **fields, code=failure.code.value, reason=failure.message, retry_in=retry_in)
            case _:
                assert_never(outcome)

    def _measure(self, claim: ClaimedJob, outcome: JobOutcome, seconds: float) -> None:
        waited = max(0, claim.claimed_at - claim.due_at) / 1000
        self._metrics.claimed(waited)
        match outcome:
            case Answered(_, llm_seconds):
                self._metrics.ended(JobState.COMPLETED)
                if llm_seconds is not None:
                    self._metrics.overhead(waited + max(0.0, seconds - llm_seconds))
            case Failed(failure):
                self._metrics.ended(JobState.FAILED, failure.code)
            case AskLater(_, failure):
                self._metrics.put_off(failure.code)
            case Awaiting():
                pass
            case _:
                assert_never(outcome)


def _report(status: str, failure: Failure, http_status: int | None, duration_ms: int) -> Report:
    return Report(status, f"{failure.code}: {failure.message}", http_status, duration_ms)


def body_of(request: Message, said: list[dict[str, str]]) -> dict[str, Json]:
    """The chat completion request of a message."""
    body: dict[str, Json] = {"messages": said}
    if request.model is not None:
        body["model"] = request.model
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    return body
