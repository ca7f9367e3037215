"""Delivering one callback: gate, signature, attempt, outcome, one report."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never

from answerback.jobs.outcome import Dead, Delivered, DeliveryOutcome, SendLater, after_send
from answerback.jobs.ports import Claims, Store
from answerback.kernel.clock import Clock
from answerback.kernel.errors import SendError
from answerback.kernel.failpoints import Failpoint, OnFailpoint
from answerback.kernel.log import Log
from answerback.kernel.persistence import persist, persist_report
from answerback.kernel.retry import RetrySchedule
from answerback.kernel.telemetry import UNMEASURED, UNTRACED, CallbackEnd, Metrics, SpanKind, Tracer
from answerback.queue.notifier import Notifier
from answerback.webhooks.model import CallbackResponse, ClaimedDelivery, Report
from answerback.webhooks.ports import Origins, Sender
from answerback.webhooks.signer import Signer

Now: TypeAlias = Callable[[], int]
"""The database's time, in epoch milliseconds."""

LATE_MS = 60_000
"""Owed for so long, a callback tells of an outage: its receiver's, or ours."""


class Deliverer:
    """Runs claimed deliveries."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        origins: Origins,
        signer: Signer,
        notifier: Notifier,
        schedule: RetrySchedule,
        clock: Clock,
        log: Log,
        failpoint: OnFailpoint,
        metrics: Metrics = UNMEASURED,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._store = store
        self._sender = sender
        self._origins = origins
        self._signer = signer
        self._notifier = notifier
        self._schedule = schedule
        self._clock = clock
        self._log = log
        self._failpoint = failpoint
        self._metrics = metrics
        self._tracer = tracer

    async def claim(self, owner: str, limit: int, lease_seconds: float) -> Claims:
        """Claims what is due and not waiting for its origin. Raises StorageUnavailable."""
        claims = await self._store.claim_deliveries(owner, limit, lease_seconds, self._origins.lines())
        for line, count in claims.placed:
            self._origins.placed(line, count)
        return claims

    async def run(self, claim: ClaimedDelivery) -> None:
        """Makes one attempt and commits what came of it, or gives the attempt back while the origin is closed."""
        now = self._now_from(claim)
        wait = self._origins.admit(claim.gate, claim.claimed_at - claim.created_at > LATE_MS)
        if wait > 0:
            await self._defer(claim, wait, now)
            return
        started = time.perf_counter()
        # Only the lack of a response counts against an origin: a 500 of one path must not close its others. An attempt
        # that we cancelled says nothing.
        healthy: bool | None = None
        try:
            result = await self._send(claim, now)
            healthy = isinstance(result, CallbackResponse)
        finally:
            seconds = time.perf_counter() - started
            if self._origins.done(claim.gate, healthy, seconds):
                self._notifier.delivery_ready()
        outcome = after_send(result, claim.attempt, _seconds_left(claim, now), self._schedule, random.random)
        await asyncio.shield(self._settle(claim, outcome, seconds, now))

    def _now_from(self, claim: ClaimedDelivery) -> Now:
        """The clock that read `claimed_at` a moment ago, carried on by our monotonic one: this machine's wall clock may
        be minutes off, and receivers compare the timestamp they get with their own."""
        began = self._clock.monotonic()
        return lambda: claim.claimed_at + int((self._clock.monotonic() - began) * 1000)

    async def _defer(self, claim: ClaimedDelivery, wait: float, now: Now) -> None:
        if wait > _seconds_left(claim, now):
            # An origin that stays closed never lets it try; its deadline must end it all the same.
            await self._settle(claim, Dead("the receiver could not be reached before the deadline", None), 0.0, now)
            return
        await persist(lambda: self._store.release_deliveries([(claim.id, claim.epoch, wait)]))
        self._notifier.delivery_ready()

    async def _send(self, claim: ClaimedDelivery, now: Now) -> CallbackResponse | SendError:
        headers = await persist(lambda: self._signer.headers(claim.tenant_id, claim.id, now(), claim.body))
        about: dict[str, str | int] = {
            "http.request.method": "POST",
            "answerback.job.id": claim.job_id,
            "answerback.attempt": claim.attempt,
        }
        with self._tracer.span("deliver", SpanKind.CLIENT, about, claim.traceparent) as span:
            if (trace := self._tracer.current()) is not None:
                headers["traceparent"] = trace
            self._failpoint(Failpoint.BEFORE_CALLBACK)
            try:
                response = await self._sender.send(claim.url, headers, claim.body)
            except SendError as error:
                span.fail("no_response")
                return error
            finally:
                self._failpoint(Failpoint.AFTER_CALLBACK)
            span.note({"http.response.status_code": response.status})
            if not 200 <= response.status < 300:
                span.fail(str(response.status))
            return response

    async def _settle(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, seconds: float, now: Now) -> None:
        duration_ms = int(seconds * 1000)
        kept = await self._keep(claim, outcome, duration_ms)
        self._report(claim, outcome, duration_ms, kept)
        if kept:
            self._measure(claim, outcome, seconds, now)

    def _measure(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, seconds: float, now: Now) -> None:
        match outcome:
            case Delivered():
                self._metrics.sent(CallbackEnd.DELIVERED, seconds)
                self._metrics.delivered(max(0, now() - claim.created_at) / 1000)
            case SendLater():
                self._metrics.sent(CallbackEnd.RETRY, seconds)
            case Dead():
                self._metrics.sent(CallbackEnd.DEAD, seconds)
            case _:
                assert_never(outcome)

    async def _keep(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, duration_ms: int) -> bool:
        match outcome:
            case Delivered(response):
                report = _report("delivered", None, response, duration_ms)
                kept = await self._persist(claim, report, lambda: self._store.delivered(claim, report))
                if kept:
                    self._failpoint(Failpoint.AFTER_DELIVERED)
                self._release(claim)
                return kept
            case SendLater(delay, error, response):
                report = _report("retry", error, response, duration_ms)
                kept = await self._persist(claim, report, lambda: self._store.send_later(claim, delay, report))
                # The engine sleeps until the next due row; this may be it.
                self._notifier.delivery_ready()
                return kept
            case Dead(error, response):
                report = _report("dead", error, response, duration_ms)
                kept = await self._persist(claim, report, lambda: self._store.dead(claim, report))
                self._release(claim)
                return kept
            case _:
                assert_never(outcome)

    async def _persist(self, claim: ClaimedDelivery, report: Report, write: Callable[[], Awaitable[bool]]) -> bool:
        return await persist_report(write, lambda: self._store.reported(claim.id, claim.epoch, report))

    def _release(self, claim: ClaimedDelivery) -> None:
        """The conversation's next callback may have become due."""
        if claim.conversation_id is not None:
            self._notifier.delivery_ready()

    def _report(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, duration_ms: int, kept: bool) -> None:
        fields: dict[str, object] = {
            "job": claim.job_id,
            "delivery": claim.id,
            "attempt": claim.attempt,
            "origin": claim.origin,
            "ms": duration_ms,
        }
        if not kept:
            self._log.warning("stale_delivery_discarded", **fields)
            return
        match outcome:
            case Delivered(response):
                self._log.info("delivered", **fields, status=response.status)
            case SendLater(delay, error, _):
                self._log.warning("delivery_retry", **fields, reason=error, retry_in=round(delay, 3))
            case Dead(error, _):
                self._log.error("delivery_dead", **fields, reason=error)
            case _:
                assert_never(outcome)


def _seconds_left(claim: ClaimedDelivery, now: Now) -> float:
    return (claim.deadline_at - now()) / 1000


def _report(status: str, error: str | None, response: CallbackResponse | None, duration_ms: int) -> Report:
    return Report(
        status,
        error=error,
        http_status=response.status if response else None,
        duration_ms=duration_ms,
        snippet=response.snippet if response else None,
    )
