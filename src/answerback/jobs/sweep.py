"""The sweep: every duty that moves what no worker moves. Each takes a bounded batch and may run many times over, in any
number of processes."""

from collections.abc import Awaitable, Callable, Sequence

from answerback.jobs.kind import JobState
from answerback.jobs.model import Finished, Swept
from answerback.kernel.errors import ErrorCode, StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.queue.notifier import Notifier, Topic

Duty = Callable[[], Awaitable[Swept]]
Leapt = Callable[[], Awaitable[float]]
"""By how many seconds the database's time ran ahead of this process's since the last call, 0.0 if it did not."""

REUNION_LEASES = 0.5
"""In lease lengths: after an outage this long, recovery waits as long again, so that holders can extend first. No lease
ends in a shorter outage: each is extended four times within its length. So it does after this process stood still, most
likely with the whole machine, which may have ended every lease at once."""
SWEEP_SECONDS = 1.0
STILL_SECONDS = 2.0
"""Without an answer of the database for so long, and none refused, a process stood still; less may be its pause."""
QUARANTINE_SECONDS = 0.1
QUARANTINE_WATCH_SECONDS = 2.0
"""For so long after a release from quarantine sweeps follow each other fast: the next such job waits for the end of
this one, and most end soon."""
RARE_SECONDS = 60.0
"""Between runs of the duties that look for what should never happen (orphans) or never hurries (retention)."""


class Sweep:
    """`recoveries` take expired leases away, `expiries` end what is overdue, both at each sweep; `rare` duties run once
    a minute, and at each sweep as long as they find something."""

    def __init__(
        self,
        recoveries: Sequence[Duty],
        expiries: Sequence[Duty],
        rare: Sequence[Duty],
        leapt: Leapt,
        notifier: Notifier,
        lease_seconds: float,
        instruments: Instruments,
    ) -> None:
        self._recoveries = recoveries
        self._expiries = expiries
        self._rare = rare
        self._leapt = leapt
        self._notifier = notifier
        self._clock = instruments.clock
        self._log = instruments.log
        self._metrics = instruments.metrics
        self._reunion_seconds = lease_seconds * REUNION_LEASES
        self._answered_at = self._recover_at = self._rare_at = instruments.clock.monotonic()
        self._watch_until = float("-inf")
        self._away = self._postponed = self._refused = False

    @property
    def pause(self) -> float:
        """Seconds until the next sweep, after one that moved nothing."""
        return QUARANTINE_SECONDS if self._clock.monotonic() < self._watch_until else SWEEP_SECONDS

    async def sweep(self) -> int:
        """One bounded batch of each due duty; returns how many rows moved. A duty that fails holds up no other, and
        what the others moved is counted all the same."""
        self._refused = False
        await self._look_at_clock()
        moved = await self._run(self._due_recoveries())
        moved += await self._run(self._expiries)
        if self._clock.monotonic() >= self._rare_at:
            rare = await self._run(self._rare)
            # A batch a minute would not keep up with a busy service: they go on until nothing is left.
            if not rare:
                self._rare_at = self._clock.monotonic() + RARE_SECONDS
            moved += rare
        if self._postponed and not self._refused:
            self._postponed = False
            self._log.info("sweep_resumed")
        if moved["jobs_on_probation"]:
            self._watch_until = self._clock.monotonic() + QUARANTINE_WATCH_SECONDS
        if moved:
            self._log.info("swept", **moved)
            self._measure(moved)
            for topic in Topic:
                self._notifier.wake(topic)
        return moved.total()

    async def _run(self, duties: Sequence[Duty]) -> Swept:
        moved = Swept()
        for duty in duties:
            try:
                swept = await duty()
            except StorageUnavailable as error:
                self._away = self._refused = True
                if not self._postponed:
                    self._log.warning("sweep_postponed", reason=str(error))
                self._postponed = True
            except Exception:  # noqa: BLE001 - the other duties must be done all the same
                self._log.exception("sweep_broke")
            else:
                moved += swept
                for job_id, finished in swept.ended:
                    self._log_end(job_id, finished)
                self._await_reunion()
                self._away = False
                self._answered_at = self._clock.monotonic()
        return moved

    def _log_end(self, job_id: str, finished: Finished) -> None:
        ending = finished.ending
        if ending.failure is not None:
            self._log.warning(ending.state, job=job_id, code=ending.failure.code, reason=ending.failure.message)
        for held in finished.held:
            self._log.info("callback_held", job=job_id, delivery=held.id, behind=held.behind)

    async def _look_at_clock(self) -> None:
        if leapt := await self._leapt():
            self._log.warning("stood_still", seconds=round(leapt, 3))
            self._recover_at = self._clock.monotonic() + self._reunion_seconds

    def _due_recoveries(self) -> Sequence[Duty]:
        self._await_reunion()
        return self._recoveries if self._clock.monotonic() >= self._recover_at else ()

    def _await_reunion(self) -> None:
        """Postpones recoveries if the database has been away, or this process has stood still, for long."""
        now = self._clock.monotonic()
        least = self._reunion_seconds if self._away else max(self._reunion_seconds, STILL_SECONDS)
        if now - self._answered_at >= least:
            self._recover_at = now + self._reunion_seconds

    def _measure(self, moved: Swept) -> None:
        for name, state, code in (
            ("jobs_poisoned", JobState.FAILED, ErrorCode.POISONED),
            ("jobs_unanswered", JobState.FAILED, ErrorCode.LLM_CALLBACK_TIMEOUT),
            ("jobs_expired", JobState.EXPIRED, ErrorCode.EXPIRED),
        ):
            if moved[name]:
                self._metrics.ended(state, code, moved[name])
