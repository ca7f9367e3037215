"""Running one claimed job: its kind runs it, its outcome is committed and reported once."""

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, assert_never

from answerback.conversations.windows import Windows
from answerback.jobs.deadline import in_time, named_deadline
from answerback.jobs.finish import End
from answerback.jobs.kind import Claimed, JobState, Registry
from answerback.jobs.model import Finished
from answerback.jobs.outcome import Awaiting, Completed, Failed, Outcome, Retry, Snooze
from answerback.jobs.place import place_of
from answerback.jobs.retry_policy import after_provider_error
from answerback.jobs.store import JobStore
from answerback.kernel.errors import ErrorCode, Failure
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.instruments import Instruments
from answerback.kernel.lately import Lately
from answerback.kernel.persistence import persist, persist_report
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.shares import Shares
from answerback.kernel.shielded import until_cancelled
from answerback.kernel.telemetry import Span, SpanKind
from answerback.kernel.turns import Turns
from answerback.queue.attempts import Report
from answerback.queue.notifier import Notifier, Topic
from answerback.webhooks.birth import DeliveryBirths

UNSTORED = "the relay failed while storing this job's outcome; the operator's log says why"

SETTLING_AT_ONCE = 50
"""How many outcomes a process stores at once. Calls that began together are answered together: stored together,
hundreds would take each step before another tenant's job takes its next."""
SETTLING_ALONE = 100
"""The same where jobs of one tenant alone came in `LATELY_SECONDS`. What accepts more than it ends has ever more in
hand, and all of it out of cold caches."""
LATELY_SECONDS = 300.0
TENANT_FACTOR = 4.0
"""Of these places a tenant that is alone has four fifths."""


class JobRunner:
    """Runs claimed jobs of every kind."""

    def __init__(
        self,
        store: JobStore,
        kinds: Registry,
        notifier: Notifier,
        windows: Windows,
        deliveries: DeliveryBirths,
        instruments: Instruments,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._notifier = notifier
        self._windows = windows
        self._deliveries = deliveries
        self._log = instruments.log
        self._metrics = instruments.metrics
        self._tracer = instruments.tracer
        self._failpoint = instruments.failpoint
        self._monotonic = instruments.clock.monotonic
        self._tenants = Lately(LATELY_SECONDS)
        self._settling = Turns(Shares(SETTLING_ALONE, TENANT_FACTOR, self._kept))

    def _kept(self) -> int:
        """How many of the places for settling nobody has."""
        return SETTLING_ALONE - SETTLING_AT_ONCE if len(self._tenants) > 1 else 0

    async def run(self, claim: Claimed[Any]) -> None:
        """One attempt, and the commit of its outcome. Cancelled before that, it leaves the row to its holder."""
        self._failpoint(Failpoint.AFTER_CLAIM)
        job = claim.job
        self._tenants.note(job.tenant_id, self._monotonic())
        about: dict[str, str | int] = {
            "answerback.job.id": job.id,
            "answerback.kind": job.kind,
            "answerback.attempt": claim.attempt,
        }
        with self._tracer.span("answer", SpanKind.CONSUMER, about, job.traceparent) as span:
            await self._run(claim, span)

    async def _run(self, claim: Claimed[Any], span: Span) -> None:
        started = time.perf_counter()
        outcome = await self._attempt(claim)
        outcome = in_time(outcome, claim.seconds_left - (time.perf_counter() - started))
        self._failpoint(Failpoint.AFTER_ANSWER)
        if isinstance(outcome, Failed | Retry | Snooze):
            span.fail(outcome.failure.code.value)
        # A paid answer is worth more than a prompt cancellation: once it is there, it is committed.
        await until_cancelled(self._settle_in_turn(claim, outcome, started))

    async def _attempt(self, claim: Claimed[Any]) -> Outcome:
        kind = self._kinds.find(claim.job.kind)
        assert kind is not None, "a job of an unknown kind is never claimed"  # noqa: S101
        try:
            with named_deadline(claim):
                return await kind.run(claim)
        except ProviderError as error:
            return after_provider_error(error, claim.attempt, kind.retries, random.random)
        except Exception:  # noqa: BLE001 - whatever breaks, the job must end or be tried again
            self._log.exception("job_broke", job=claim.id)
            failure = ProviderError(
                ErrorCode.INTERNAL, "the relay failed while asking the LLM; the operator's log says why", retryable=True
            )
            return after_provider_error(failure, claim.attempt, kind.retries, random.random)

    async def _settle_in_turn(self, claim: Claimed[Any], outcome: Outcome, started: float) -> None:
        duration_ms = int((time.perf_counter() - started) * 1000)
        await self._settling.wait(claim.tenant_id)
        try:
            settled = await self._settle(claim, outcome, duration_ms)
        finally:
            self._settling.give(claim.tenant_id)
        if settled is not None:
            self._measure(claim, settled, time.perf_counter() - started)

    async def _settle(self, claim: Claimed[Any], outcome: Outcome, duration_ms: int) -> Outcome | None:
        """The outcome that was stored; None where another worker has taken the row."""
        try:
            kept = await self._keep(claim, outcome, duration_ms)
        except Exception:  # noqa: BLE001 - an answer that cannot be stored must not be paid for again
            self._log.exception("outcome_broke", job=claim.id)
            outcome = Failed(Failure(ErrorCode.INTERNAL, UNSTORED))
            kept = await self._keep(claim, outcome, duration_ms)
        self._log_outcome(claim, outcome, duration_ms, kept)
        return outcome if kept else None

    async def _keep(self, claim: Claimed[Any], outcome: Outcome, duration_ms: int) -> bool:
        match outcome:
            case Completed(result=result, window_from=window_from, usage=usage):
                end = End.completed(result, window_from, usage)
                return await self._finish(claim, end, _report("answered", claim, duration_ms))
            case Failed(failure=failure):
                end = End(JobState.FAILED, failure=failure)
                return await self._finish(claim, end, _report("failed", claim, duration_ms, outcome))
            case Awaiting(timeout=seconds):
                taken = _report("handed_over", claim, duration_ms)
                return await self._persist(claim, taken, lambda: self._store.hand_over(claim, seconds, taken))
            case Retry():
                report = _report("retry", claim, duration_ms, outcome)
                kept = await self._persist(claim, report, lambda: self._store.put_off(claim, outcome, report))
                self._notifier.wake(Topic.JOBS)  # The worker pool sleeps until the next due row; this may be it.
                return kept
            case Snooze():
                kept = await persist(lambda: self._store.snooze(claim, outcome))
                self._notifier.wake(Topic.JOBS)
                return kept
            case _:
                assert_never(outcome)

    async def _finish(self, claim: Claimed[Any], end: End, report: Report) -> bool:
        finished: Finished | None = None
        job = claim.job

        async def write() -> bool:
            nonlocal finished
            finished = await self._deliveries.insert(
                job.tenant_id, job.callback_url, lambda offer: self._store.finish(claim, end, report, offer)
            )
            return finished is not None

        kept = await self._persist(claim, report, write)
        if kept:
            self._failpoint(Failpoint.AFTER_FINISH)
            # Without a `finished` the commit of an earlier try was not answered: everything may be due.
            if finished is None or finished.owes:
                self._notifier.wake(Topic.DELIVERIES)
            for held in finished.held if finished is not None else ():
                self._log.info("callback_held", job=claim.id, delivery=held.id, behind=held.behind)
            if finished is not None and (place := place_of(claim)) is not None:
                await self._windows.ended(place, finished.entry, end.window_from)
            if finished is None or finished.released:
                self._notifier.wake(Topic.JOBS)
        return kept

    async def _persist(self, claim: Claimed[Any], report: Report, write: Callable[[], Awaitable[bool]]) -> bool:
        return await persist_report(write, lambda: self._store.reported(claim.id, claim.epoch, report))

    def _log_outcome(self, claim: Claimed[Any], outcome: Outcome, duration_ms: int, kept: bool) -> None:
        fields: dict[str, object] = {"job": claim.id, "attempt": claim.attempt, "ms": duration_ms}
        if not kept:
            self._log.warning("stale_result_discarded", **fields)
            return
        match outcome:
            case Completed(about=about):
                self._log.info("answered", **fields, **about)
            case Failed(failure=failure):
                reason = outcome.remark or failure.message
                self._log.warning("failed", **fields, code=failure.code.value, reason=reason)
            case Awaiting(timeout=seconds):
                self._log.info("handed_over", **fields, awaited_seconds=seconds)
            case Retry(delay=delay, failure=failure):
                fields |= {"code": failure.code.value, "reason": outcome.remark or failure.message}
                self._log.warning("retry", **fields, retry_in=round(delay, 3))
            case Snooze(delay=delay, failure=failure):
                self._log.info("waits_for_its_turn", **fields, code=failure.code.value, retry_in=round(delay, 3))
            case _:
                assert_never(outcome)

    def _measure(self, claim: Claimed[Any], outcome: Outcome, seconds: float) -> None:
        waited = max(0, claim.claimed_at - claim.due_at) / 1000
        self._metrics.claimed(waited)
        match outcome:
            case Completed(seconds=llm_seconds):
                self._metrics.ended(JobState.COMPLETED)
                if llm_seconds is not None:
                    self._metrics.overhead(waited + max(0.0, seconds - llm_seconds))
            case Failed(failure=failure):
                self._metrics.ended(JobState.FAILED, failure.code)
            case Retry(failure=failure) | Snooze(failure=failure):
                self._metrics.put_off(failure.code)
            case Awaiting():
                pass
            case _:
                assert_never(outcome)


def _report(status: str, claim: Claimed[Any], duration_ms: int, failed: Failed | Retry | None = None) -> Report:
    put_off_for = claim.put_off_for
    if failed is None:
        return Report(status, duration_ms=duration_ms, put_off_for=put_off_for)
    failure = failed.failure
    error = f"{failure.code}: {failure.message}"
    return Report(status, error, failed.http_status, duration_ms, remark=failed.remark, put_off_for=put_off_for)
