"""Delivering: signature, attempt, outcome, one report."""

import random
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias, assert_never

from answerback.kernel.errors import NotFound
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.instruments import Instruments
from answerback.kernel.persistence import persist, persist_report
from answerback.kernel.retry import RetrySchedule
from answerback.kernel.shielded import until_cancelled
from answerback.kernel.telemetry import CallbackEnd, SpanKind
from answerback.queue.attempts import NOT_SENT, Report
from answerback.queue.notifier import Notifier, Topic
from answerback.webhooks.model import ClaimedDelivery, OriginKey, OriginRoom, Reported, path_of
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.outcome import (
    AttemptEnd,
    CallbackResponse,
    Dead,
    Delivered,
    DeliveryOutcome,
    SendLater,
    after_send,
    end_of,
)
from answerback.webhooks.signing.signer import Signer
from answerback.webhooks.store import DeliveryStore

Elapsed: TypeAlias = Callable[[], float]
"""Seconds since the claim, by this process's monotonic clock."""


class Sender(Protocol):
    """Makes one attempt, to an address it has checked."""

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """Raises SendError. Ends within the configured deadline, body included."""

    async def close(self) -> None: ...


AnswersAgain: TypeAlias = Callable[[str, str | None], None]
"""Says of a tenant that its receivers at an origin, or at all origins, may answer again: what waits is tried at once.
It concerns this process; others find out by their own probes."""


class Origins(Protocol):
    """Says how much each origin is called."""

    def look(self, key: OriginKey, late: bool, unreached: bool) -> OriginRoom:
        """How many more attempts may begin now. `late`: the delivery due first has been owed for long, as after an
        outage; `unreached`: it could not be reached. Changes nothing, and may be called on another thread than the
        rest."""

    def is_open(self, key: OriginKey) -> bool:
        """Whether the origin's breaker is open: only probes are sent."""

    def reserve(self, key: OriginKey) -> bool:
        """Takes a place for an attempt that may follow. False: there is none, or only for a probe; or others are due
        in front, as far as is known, and another reservation finds out whether they still are."""

    def give_back(self, key: OriginKey, *, behind: bool = False) -> bool:
        """No attempt followed; `behind`: others are due in front. Whether one may begin now where none could
        before."""

    def began(self, key: OriginKey, late: bool, early: bool = False, *, reserved: bool = False) -> None:
        """An attempt begins, for which `look` found room, or for which a place was `reserved`; it holds its place until
        `ended`. `early`: before its turn in the schedule."""

    def ended(self, key: OriginKey, end: AttemptEnd, seconds: float, path: str, retry_after: float | None) -> bool:
        """Ends an attempt that began, exactly once, at a path of the origin, which asks to be left alone for
        `retry_after` seconds. Whether the origin was full, or has just recovered, and takes more, now or after an
        interval that `look` shows: deliveries may wait for that."""

    def drained(self, key: OriginKey) -> None:
        """No delivery is left that waited because the origin could not be reached."""


class Deliverer:
    """Runs claimed deliveries. `callback_schedules` are for callbacks to the URL of a request, by the type of their
    event; every other delivery follows `schedule`."""

    def __init__(
        self,
        store: DeliveryStore,
        sender: Sender,
        origins: Origins,
        signer: Signer,
        notifier: Notifier,
        schedule: RetrySchedule,
        instruments: Instruments,
        callback_schedules: Mapping[str, RetrySchedule] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._sender = sender
        self._origins = origins
        self._signer = signer
        self._notifier = notifier
        self._schedule = schedule
        self._callback_schedules = callback_schedules
        self._instruments = instruments

    async def run(self, claim: ClaimedDelivery) -> None:
        """Makes one attempt and commits its outcome."""
        elapsed = self._elapsed()
        end, ours = AttemptEnd.CANCELLED, 0.0
        retry_after: float | None = None
        try:
            headers = await self._sign(claim, elapsed)
            # The waits for a secret and for a turn are our shortages, and none of the receiver's.
            ours = elapsed()
            if headers is None:
                outcome: DeliveryOutcome = Dead("the endpoint was deleted", None, sent=False)
            else:
                result = await self._send(claim, headers)
                ours += result.waited
                end = end_of(result)
                retry_after = result.retry_after if isinstance(result, CallbackResponse) else None
                outcome = self._after(claim, result, elapsed())
        finally:
            seconds = max(0.0, elapsed() - ours)
            if self._origins.ended(claim.key, end, seconds, path_of(claim.url), retry_after):
                self._notifier.wake(Topic.DELIVERIES)
        await until_cancelled(self._settle(claim, outcome, seconds, elapsed))

    def _elapsed(self) -> Elapsed:
        """Only differences: this machine's wall clock may be minutes off the database's."""
        clock = self._instruments.clock
        began = clock.monotonic()
        return lambda: clock.monotonic() - began

    def _after(self, claim: ClaimedDelivery, result: CallbackResponse | SendError, elapsed: float) -> DeliveryOutcome:
        seconds_left = (claim.deadline_at - claim.claimed_at) / 1000 - elapsed
        due_in = (claim.due_at - claim.claimed_at) / 1000 - elapsed
        return after_send(result, claim.attempt, seconds_left, due_in, self._schedule_of(claim), random.random)

    def _schedule_of(self, claim: ClaimedDelivery) -> RetrySchedule:
        if claim.endpoint_id is not None:
            return self._schedule
        return self._callback_schedules.get(claim.event_type, self._schedule)

    async def _sign(self, claim: ClaimedDelivery, elapsed: Elapsed) -> dict[str, str] | None:
        """The headers of this attempt; None where its endpoint was deleted."""
        if claim.endpoint_deleted:
            return None
        owner = claim.endpoint_id or claim.tenant_id
        try:
            return await persist(lambda: self._signer.headers(owner, claim.id, _wall(claim, elapsed), claim.body))
        except NotFound:
            return None

    async def _send(self, claim: ClaimedDelivery, headers: dict[str, str]) -> CallbackResponse | SendError:
        about: dict[str, str | int] = {
            "http.request.method": "POST",
            "answerback.job.id": claim.job_id,
            "answerback.attempt": claim.attempt,
        }
        tracer, failpoint = self._instruments.tracer, self._instruments.failpoint
        with tracer.span("deliver", SpanKind.CLIENT, about, claim.traceparent) as span:
            if (trace := tracer.current()) is not None:
                headers["traceparent"] = trace
            failpoint(Failpoint.BEFORE_CALLBACK)
            try:
                response = await self._sender.send(claim.tenant_id, claim.url, headers, claim.body)
            except SendError as error:
                span.fail("no_response")
                return error
            finally:
                failpoint(Failpoint.AFTER_CALLBACK)
            span.note({"http.response.status_code": response.status})
            if not 200 <= response.status < 300:
                span.fail(str(response.status))
            return response

    async def _settle(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, seconds: float, elapsed: Elapsed) -> None:
        duration_ms = int(seconds * 1000)
        stored = await self._store_report(claim, outcome, duration_ms)
        self._log(claim, outcome, duration_ms, stored)
        if stored:
            self._measure(claim, outcome, seconds, elapsed)

    async def _store_report(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, duration_ms: int) -> bool:
        """Whether the row was still the claim's."""
        store = self._store
        match outcome:
            case Delivered(response):
                report = _report("delivered", None, response, duration_ms)
                stored = await self._persist(claim, report, lambda: store.delivered(claim, report))
                if stored:
                    self._instruments.failpoint(Failpoint.AFTER_DELIVERED)
            case SendLater(delay, error, response, counted, sent):
                report = _report("retry" if sent else NOT_SENT, error, response, duration_ms)
                # What was not sent says nothing of the receiver, and waits as long.
                unreached = sent and response is None
                stored = await self._persist(
                    claim, report, lambda: store.send_later(claim, delay, report, counted=counted, unreached=unreached)
                )
            case Dead(error, response, sent):
                report = _report("dead" if sent else NOT_SENT, error, response, duration_ms)
                stored = await self._persist(claim, report, lambda: store.dead(claim, report))
            case _:
                assert_never(outcome)
        if isinstance(outcome, SendLater):
            # The worker pool sleeps until the next row is due: that may be this one.
            self._notifier.wake(Topic.DELIVERIES)
        return stored

    async def _persist(
        self, claim: ClaimedDelivery, report: Report, write: Callable[[], Awaitable[Reported | None]]
    ) -> bool:
        reported: Reported | None = None

        async def attempt() -> bool:
            nonlocal reported
            reported = await write()
            return reported is not None

        stored = await persist_report(attempt, lambda: self._store.reported(claim, report))
        # Without a `reported` the commit of an earlier try was not answered, and may have released one.
        if reported.released if reported is not None else stored:
            self._notifier.wake(Topic.DELIVERIES)
        return stored

    def _measure(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, seconds: float, elapsed: Elapsed) -> None:
        metrics = self._instruments.metrics
        match outcome:
            case Delivered():
                metrics.sent(CallbackEnd.DELIVERED, seconds)
                metrics.delivered(max(0, _wall(claim, elapsed) - claim.created_at) / 1000)
            case SendLater():
                metrics.sent(CallbackEnd.RETRY, seconds)
            case Dead():
                metrics.sent(CallbackEnd.DEAD, seconds)
            case _:
                assert_never(outcome)

    def _log(self, claim: ClaimedDelivery, outcome: DeliveryOutcome, duration_ms: int, stored: bool) -> None:
        log = self._instruments.log
        fields: dict[str, object] = {
            "job": claim.job_id,
            "delivery": claim.id,
            "attempt": claim.attempt,
            "origin": claim.origin,
            "ms": duration_ms,
        }
        if not stored:
            log.warning("stale_delivery_discarded", **fields)
            return
        match outcome:
            case Delivered(response):
                log.info("delivered", **fields, status=response.status)
            case SendLater(delay, error):
                log.warning("delivery_retry", **fields, reason=error, retry_in=round(delay, 3))
            case Dead(error):
                log.error("delivery_dead", **fields, reason=error)
            case _:
                assert_never(outcome)


def _wall(claim: ClaimedDelivery, elapsed: Elapsed) -> int:
    """The wall clock that the claim read, carried on: receivers compare a timestamp with their own clock."""
    return claim.at + int(elapsed() * 1000)


def _report(status: str, error: str | None, response: CallbackResponse | None, duration_ms: int) -> Report:
    return Report(
        status,
        error=error,
        http_status=response.status if response else None,
        duration_ms=duration_ms,
        snippet=response.snippet if response else None,
    )
