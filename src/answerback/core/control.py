"""What owners may do with their jobs besides waiting."""

from answerback.domain.job import DeliveryRecord, JobRecord
from answerback.ports import Hints, Log, Store


class Control:
    """Cancels jobs and replays deliveries, and tells the engine."""

    def __init__(self, store: Store, hints: Hints, log: Log) -> None:
        self._store = store
        self._hints = hints
        self._log = log

    async def cancel(self, tenant_id: str, job_id: str) -> JobRecord:
        """Ends the job as cancelled; its callback says so. Raises NotFound, Conflict, StorageUnavailable."""
        await self._store.cancel_job(tenant_id, job_id)
        self._hints.job_cancelled(job_id)
        self._log.info("cancelled", job=job_id, tenant=tenant_id)
        return await self._store.get_job(tenant_id, job_id)

    async def replay(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """Owes the same callback once more. Raises NotFound, Conflict, StorageUnavailable."""
        delivery = await self._store.replay_delivery(tenant_id, delivery_id)
        self._hints.delivery_ready()
        self._log.info("replayed", job=delivery.job_id, delivery=delivery_id, tenant=tenant_id)
        return delivery
