"""Cancelling jobs, for every feature: the row, the worker that runs it, the count and the log."""

from answerback.jobs.kind import JobState
from answerback.jobs.store import JobStore
from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.queue.notifier import Notifier, Topic


class Canceller:
    """Cancelling twice is no error."""

    def __init__(self, store: JobStore, notifier: Notifier, instruments: Instruments) -> None:
        self._store = store
        self._notifier = notifier
        self._instruments = instruments

    async def cancel(self, tenant_id: str, job_id: str, *, by_operator: bool = False) -> None:
        """`by_operator`: not by its own tenant. Raises NotFound; Conflict for a job that ended otherwise."""
        if await self._store.cancel(tenant_id, job_id, by_operator=by_operator):
            self._instruments.metrics.ended(JobState.CANCELLED, ErrorCode.CANCELLED)
        self._notifier.job_cancelled(job_id)
        # Its callback is owed, and the next job of its conversation due.
        for topic in Topic:
            self._notifier.wake(topic)
        self._instruments.log.info("cancelled", job=job_id, tenant=tenant_id)
