"""What owners may do with their jobs besides waiting."""

from answerback.jobs.model import JobRecord, JobState
from answerback.jobs.ports import Store
from answerback.kernel.errors import ErrorCode
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.queue.notifier import Notifier


class Control:
    """Cancels jobs, and tells the engine."""

    def __init__(self, store: Store, notifier: Notifier, log: Log, metrics: Metrics = UNMEASURED) -> None:
        self._store = store
        self._notifier = notifier
        self._log = log
        self._metrics = metrics

    async def cancel(self, tenant_id: str, job_id: str) -> JobRecord:
        """Ends the job as cancelled; its callback says so. Raises NotFound, Conflict, StorageUnavailable."""
        if await self._store.cancel_job(tenant_id, job_id):
            self._metrics.ended(JobState.CANCELLED, ErrorCode.CANCELLED)
        self._notifier.job_cancelled(job_id)
        self._log.info("cancelled", job=job_id, tenant=tenant_id)
        return await self._store.get_job(tenant_id, job_id)
