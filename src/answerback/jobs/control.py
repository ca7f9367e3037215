"""What owners may do with their jobs besides waiting."""

from answerback.jobs.model import DeliveryRecord, JobRecord, JobState
from answerback.jobs.ports import Store
from answerback.kernel.errors import ErrorCode
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.queue.notifier import Notifier


class Control:
    """Cancels jobs and replays deliveries, and tells the engine."""

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

    async def replay(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """Owes the same callback once more. Raises NotFound, Conflict, StorageUnavailable."""
        delivery = await self._store.replay_delivery(tenant_id, delivery_id)
        self._notifier.delivery_ready()
        self._log.info("replayed", job=delivery.job_id, delivery=delivery_id, tenant=tenant_id)
        return delivery
