"""Moving what nobody else will: expired leases, passed deadlines, orphaned lines, old rows."""

from dataclasses import fields

from answerback.domain.errors import ErrorCode, StorageUnavailable
from answerback.domain.job import JobState
from answerback.ports import Clock, Hints, Log, Store, Swept
from answerback.telemetry import UNMEASURED, Metrics

THOROUGH_EVERY = 60.0
"""Seconds between looks for what should never happen (orphans) or never hurries (retention)."""


class Maintenance:
    """One sweep at a time; any number of processes may sweep one database."""

    def __init__(
        self,
        store: Store,
        hints: Hints,
        retention_days: float,
        clock: Clock,
        log: Log,
        metrics: Metrics = UNMEASURED,
    ) -> None:
        self._store = store
        self._hints = hints
        self._retention_days = retention_days
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._thorough_at = clock.monotonic()

    async def sweep(self) -> int:
        """Moves one bounded batch of each kind; returns how many rows that was."""
        try:
            swept = [await self._store.recover_leases(), await self._store.expire_jobs()]
            if self._clock.monotonic() >= self._thorough_at:
                rare = [await self._store.release_orphans(), await self._store.prune(self._retention_days)]
                swept += rare
                # A batch a minute would not keep up with a busy service: it goes on until nothing is left.
                if not any(each.total for each in rare):
                    self._thorough_at = self._clock.monotonic() + THOROUGH_EVERY
        except StorageUnavailable as error:
            self._log.warning("sweep_postponed", reason=str(error))
            return 0
        moved = sum(each.total for each in swept)
        if moved:
            self._log.info("swept", **_summed(swept))
            self._measure(swept)
            self._hints.job_ready()
            self._hints.delivery_ready()
        return moved

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
