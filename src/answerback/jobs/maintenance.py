"""Moving what nobody else will: expired leases, passed deadlines, orphaned lines, old rows."""

from dataclasses import fields

from answerback.jobs.model import JobState
from answerback.jobs.ports import Store, Swept
from answerback.kernel.clock import Clock
from answerback.kernel.errors import ErrorCode, StorageUnavailable
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.queue.notifier import Notifier

REUNION_LEASES = 0.5
"""For how many leases after an outage of at least as many none is taken away: who held them all along must find the
database again first. A shorter outage costs nobody a lease, since they are extended four times within each."""
THOROUGH_EVERY = 60.0
"""Seconds between looks for what should never happen (orphans) or never hurries (retention)."""


class Maintenance:
    """One sweep at a time; any number of processes may sweep one database."""

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        retention_days: float,
        lease_seconds: float,
        clock: Clock,
        log: Log,
        metrics: Metrics = UNMEASURED,
    ) -> None:
        self._store = store
        self._notifier = notifier
        self._retention_days = retention_days
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._reunion_seconds = lease_seconds * REUNION_LEASES
        self._answered_at = self._recover_at = self._thorough_at = clock.monotonic()
        self._away = False

    async def sweep(self) -> int:
        """Moves one bounded batch of each kind; returns how many rows that was."""
        try:
            swept = [await self._recover_leases(), await self._store.expire_jobs()]
            if self._clock.monotonic() >= self._thorough_at:
                rare = [await self._store.release_orphans(), await self._store.prune(self._retention_days)]
                swept += rare
                # A batch a minute would not keep up with a busy service: it goes on until nothing is left.
                if not any(each.total for each in rare):
                    self._thorough_at = self._clock.monotonic() + THOROUGH_EVERY
        except StorageUnavailable as error:
            self._away = True
            self._log.warning("sweep_postponed", reason=str(error))
            return 0
        self._away = False
        self._answered_at = self._clock.monotonic()
        moved = sum(each.total for each in swept)
        if moved:
            self._log.info("swept", **_summed(swept))
            self._measure(swept)
            self._notifier.job_ready()
            self._notifier.delivery_ready()
        return moved

    async def _recover_leases(self) -> Swept:
        now = self._clock.monotonic()
        if self._away and now - self._answered_at >= self._reunion_seconds:
            self._recover_at = now + self._reunion_seconds
        return await self._store.recover_leases() if now >= self._recover_at else Swept()

    def _measure(self, swept: list[Swept]) -> None:
        for each in swept:
            for count, state, code in (
                (each.jobs_poisoned, JobState.FAILED, ErrorCode.POISONED),
                (each.jobs_unanswered, JobState.FAILED, ErrorCode.LLM_CALLBACK_TIMEOUT),
                (each.jobs_expired, JobState.EXPIRED, ErrorCode.EXPIRED),
            ):
                if count:
                    self._metrics.ended(state, code, count)


def _summed(swept: list[Swept]) -> dict[str, int]:
    totals = {field.name: sum(getattr(each, field.name) for each in swept) for field in fields(Swept)}
    return {name: total for name, total in totals.items() if total}
