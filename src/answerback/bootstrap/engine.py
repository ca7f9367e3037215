"""The engine of a process that works: worker pools for jobs and deliveries, and the sweep with its duties."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from answerback.bootstrap.sharing import Sharing
from answerback.bootstrap.stores import Stores
from answerback.bootstrap.webhooks import Webhooks
from answerback.database.clock_watch import ClockWatch
from answerback.jobs.engine import Engine
from answerback.jobs.job_queue import JobQueue
from answerback.jobs.kind import Queue, Registry, event_types
from answerback.jobs.model import Swept
from answerback.jobs.run import JobRunner
from answerback.jobs.store import JobStore
from answerback.jobs.sweep import Duty, Sweep
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.kernel.shares import Shares, Weights, with_batch
from answerback.queue.birth import Births
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.pace import Pace
from answerback.queue.spread import Spread
from answerback.queue.worker_pool import WorkerPool
from answerback.settings import Settings
from answerback.webhooks.birth import DeliveryBirths
from answerback.webhooks.deliver import Deliverer, Origins
from answerback.webhooks.delivery_queue import DeliveryQueue
from answerback.webhooks.signing.signer import Signer

DAY_MS = 86_400_000


def make_engine(
    settings: Settings,
    jobs: JobStore,
    stores: Stores,
    kinds: Registry,
    webhooks: Webhooks,
    sharing: Sharing,
    notifier: LocalNotifier,
    weights: Weights,
    instruments: Instruments,
) -> Engine:
    lease_seconds, deliveries = settings.lease_seconds, stores.deliveries
    origins = webhooks.origins
    deliverer = Deliverer(
        deliveries,
        webhooks.sender,
        origins,
        Signer(webhooks.secrets, instruments.clock),
        notifier,
        settings.callback_schedule,
        instruments,
        callback_schedules(kinds),
    )
    delivery_queue = DeliveryQueue(deliveries, deliverer, origins, lease_seconds)
    slots = settings.worker_concurrency, settings.tenant_slot_factor
    delivery_shares, (job_shares, batch_shares) = Shares(*slots, weights=weights), with_batch(*slots, weights)
    delivery_pool = WorkerPool(delivery_queue, notifier.deliveries, delivery_shares, lease_seconds, instruments)
    delivery_births = DeliveryBirths(Births(delivery_pool, deliveries.unconfirmed), origins, notifier)
    runner = JobRunner(jobs, kinds, notifier, sharing.windows, delivery_births, instruments)
    job_queue = JobQueue(jobs, runner, stores.job_events.moves.moved, lease_seconds, instruments.log)
    spread = Spread(settings.worker_concurrency, instruments.clock.monotonic)
    job_pool = WorkerPool(job_queue, notifier.jobs, job_shares, lease_seconds, instruments, spread=spread)
    batch_queue = JobQueue(jobs, runner, stores.job_events.moves.moved, lease_seconds, instruments.log, Queue.BATCH)
    # Nobody waits for a batch job within a second: its pool is not notified, it polls.
    polled = asyncio.Event()
    leaves, pace = job_pool.may_have_room, Pace(job_pool.started_lately)
    batch_pool = WorkerPool(batch_queue, polled, batch_shares, lease_seconds, instruments, leaves, pace)
    sweep = _make_sweep(settings, jobs, stores, origins, notifier, instruments)
    births = Births(job_pool, jobs.unconfirmed)
    return Engine(job_pool, births, batch_pool, delivery_pool, sweep, notifier, instruments)


def _make_sweep(
    settings: Settings,
    jobs: JobStore,
    stores: Stores,
    origins: Origins,
    notifier: LocalNotifier,
    instruments: Instruments,
) -> Sweep:
    deliveries, retention_ms = stores.deliveries, int(settings.retention_days * DAY_MS)

    return Sweep(
        recoveries=(jobs.recover, _counting("deliveries_requeued", deliveries.recover)),
        expiries=(
            jobs.release_quarantined,
            jobs.expire,
            _counting("deliveries_expired", lambda: deliveries.expire(origins.is_open)),
        ),
        rare=(
            jobs.release_orphans,
            _counting("deliveries_orphaned", deliveries.release_orphans),
            lambda: jobs.prune(retention_ms),
            _counting("questions_pruned", lambda: stores.questions.prune(retention_ms)),
            _counting("responses_erased", stores.responses.erase_unstored),
            _counting("responses_pruned", lambda: stores.idempotency.prune(retention_ms)),
            _counting("activity_pruned", lambda: stores.overview.prune(retention_ms)),
            _counting("inbox_pruned", stores.inbox.prune),
        ),
        leapt=ClockWatch(stores.database, instruments.clock, settings.lease_seconds / 4).leapt,
        notifier=notifier,
        lease_seconds=settings.lease_seconds,
        instruments=instruments,
    )


def callback_schedules(kinds: Registry) -> Mapping[str, RetrySchedule]:
    """By event type, of the kinds that have one of their own."""
    return {each: kind.callback_retries for kind in kinds if kind.callback_retries for each in event_types(kind)}


def _counting(field: str, duty: Callable[[], Awaitable[int]]) -> Duty:
    """A duty that says how many rows it moved."""

    async def run() -> Swept:
        return Swept(**{field: await duty()})

    return run
