"""Answering one job: context, provider, outcome, one report."""

import asyncio
import random
import time
from typing import assert_never

from answerback.core.conversation import context
from answerback.core.persistence import persist
from answerback.domain.chat import ChatRequest, Json, Memory, storable
from answerback.domain.delivery import Report
from answerback.domain.errors import ErrorCode, Failure, ProviderError
from answerback.domain.job import ClaimedJob, Ending, Job, JobState
from answerback.domain.retry import JOB_SCHEDULE
from answerback.domain.transitions import Answered, AskLater, Failed, JobOutcome, after_provider_error
from answerback.ports import Boundary, Clock, Hints, Log, Provider, Reached, Store


class Executor:
    """Runs claimed jobs. `timeout` bounds one call to the LLM, in seconds."""

    def __init__(
        self,
        store: Store,
        provider: Provider,
        hints: Hints,
        memory: Memory,
        timeout: float,
        clock: Clock,
        log: Log,
        reached: Reached,
    ) -> None:
        self._store = store
        self._provider = provider
        self._hints = hints
        self._memory = memory
        self._timeout = timeout
        self._clock = clock
        self._log = log
        self._reached = reached

    async def run(self, claim: ClaimedJob) -> None:
        """Asks, then commits what came of it. Cancelling it leaves the row to whoever holds the lease."""
        self._reached(Boundary.AFTER_CLAIM)
        started = time.perf_counter()
        outcome = await self._ask(claim)
        duration_ms = int((time.perf_counter() - started) * 1000)
        self._reached(Boundary.AFTER_ANSWER)
        # A paid answer is worth more than a prompt cancellation: once it is there, its commit is seen through.
        await asyncio.shield(self._settle(claim, outcome, duration_ms))

    async def _ask(self, claim: ClaimedJob) -> JobOutcome:
        job = claim.job
        seconds_left = (job.deadline_at - self._clock.now()) / 1000
        try:
            said = await persist(lambda: context(self._store, self._memory, job, claim.claimed_at))
            request = ChatRequest(body_of(job, said), timeout=max(0.001, min(self._timeout, seconds_left)))
            return Answered(storable(await self._provider.complete(request)))
        except ProviderError as error:
            return after_provider_error(error, claim.attempt, JOB_SCHEDULE, random.random)
        except Exception:  # noqa: BLE001 - whatever breaks, the job must end or be tried again
            self._log.exception("job_broke", job=claim.id)
            failure = ProviderError(
                ErrorCode.INTERNAL, "the relay failed while asking the LLM; the operator's log says why", retryable=True
            )
            return after_provider_error(failure, claim.attempt, JOB_SCHEDULE, random.random)

    async def _settle(self, claim: ClaimedJob, outcome: JobOutcome, duration_ms: int) -> None:
        kept = await self._keep(claim, outcome, duration_ms)
        self._report(claim, outcome, duration_ms, kept)

    async def _keep(self, claim: ClaimedJob, outcome: JobOutcome, duration_ms: int) -> bool:
        match outcome:
            case Answered(answer):
                ending = Ending(JobState.COMPLETED, answer=answer)
                return await self._finish(claim, ending, Report("answered", duration_ms=duration_ms))
            case Failed(failure):
                ending = Ending(JobState.FAILED, failure=failure)
                return await self._finish(claim, ending, _report("failed", failure, duration_ms))
            case AskLater(delay, failure, counted):
                report = _report("retry", failure, duration_ms)
                kept = await persist(lambda: self._store.requeue(claim, delay, counted, failure, report))
                # The engine sleeps until the next due row; this may be it.
                self._hints.job_ready()
                return kept
            case _:
                assert_never(outcome)

    async def _finish(self, claim: ClaimedJob, ending: Ending, report: Report) -> bool:
        kept = await persist(lambda: self._store.finish(claim, ending, report))
        if kept:
            self._reached(Boundary.AFTER_FINISH)
            self._hints.delivery_ready()
            if claim.job.conversation_id is not None:
                self._hints.job_ready()
        return kept

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
            case AskLater(delay, failure):
                retry_in = round(delay, 3)
                self._log.warning("retry", **fields, code=failure.code.value, reason=failure.message, retry_in=retry_in)
            case _:
                assert_never(outcome)


def _report(status: str, failure: Failure, duration_ms: int) -> Report:
    return Report(status, error=f"{failure.code}: {failure.message}", duration_ms=duration_ms)


def body_of(job: Job, said: list[dict[str, str]]) -> dict[str, Json]:
    """The chat completion request of a message."""
    request = job.request
    body: dict[str, Json] = {"messages": said}
    if request.model is not None:
        body["model"] = request.model
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    return body
