"""The parts of a service, built from the settings."""

import gc
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from answerback.accounts.auth import Authenticator
from answerback.accounts.key_use import KeyUses
from answerback.accounts.weight_reader import WeightReader
from answerback.benchmark.results import ResultsFolder
from answerback.benchmark.retention import Retention
from answerback.bootstrap.accounts import make_authenticator
from answerback.bootstrap.calls import Calls, make_calls
from answerback.bootstrap.engine import make_engine
from answerback.bootstrap.heap import give_back
from answerback.bootstrap.kinds import Kinds, make_kinds
from answerback.bootstrap.lifetimes import opened
from answerback.bootstrap.metrics_page import Page, make_page
from answerback.bootstrap.notifiers import Notifiers, make_notifiers
from answerback.bootstrap.overview import Overview, make_overview
from answerback.bootstrap.runtime import Process
from answerback.bootstrap.sharing import Sharing, make_sharing
from answerback.bootstrap.stores import Stores, make_stores
from answerback.bootstrap.upstreams import Upstreams
from answerback.bootstrap.webhooks import Webhooks, make_webhooks
from answerback.http.idempotency import IdempotencyRecords
from answerback.jobs.engine import Engine
from answerback.jobs.metrics_routes import Depths
from answerback.jobs.model import Limits
from answerback.jobs.store import JobStore
from answerback.jobs.submit import Submitter
from answerback.kernel.instruments import Instruments
from answerback.kernel.repeated import Repeated
from answerback.kernel.retry import DAY
from answerback.kernel.shares import Weights
from answerback.llm.provider import Provider
from answerback.queue.notifier import Notifier, Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.settings import Settings
from answerback.siblings.link import Link
from answerback.webhooks.receivers.every_receiver import EveryReceiver
from answerback.webhooks.sending.guard import AddressGuard

YOUNG_OBJECTS = 10_000
"""How many more objects than now make Python look for cycles among the new ones. With its own 700 that took 8 % of a
job's CPU: each job in flight is made of hundreds that live until its end."""


class Startable(Protocol):
    def start(self) -> None: ...


class Role(StrEnum):
    """What a process does: serve routes, work, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Service:
    """`engine` is None where other processes do the work; `background` is what else runs beside requests."""

    settings: Settings
    process: Process
    stores: Stores
    sharing: Sharing
    kinds: Kinds
    provider: Provider
    default_model: str
    jobs: JobStore
    submitter: Submitter
    calls: Calls
    webhooks: Webhooks
    every_receiver: EveryReceiver
    overview: Overview
    authenticator: Authenticator
    key_uses: KeyUses
    idempotency: IdempotencyRecords
    depths: Depths
    page: Page
    engine: Engine | None
    notifiers: Notifiers
    background: Sequence[Startable]

    @property
    def notifier(self) -> Notifier:
        return self.notifiers.notifier

    @property
    def healthy(self) -> bool:
        """Whether the engine runs, if this process has one."""
        return self.engine is None or self.engine.healthy

    def start(self, broke: Callable[[], None] | None = None) -> None:
        """Begins to work in the running event loop. `broke` is called if the engine ever ends by itself."""
        # What is built by now stays; without this, each full collection stops the event loop for a tenth of a second.
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        for each in self.background:
            each.start()
        if self.engine is not None:
            self.engine.start(broke)
        self.notifiers.start()

    async def wake(self, topic: Topic) -> None:
        """Lets the topic's worker pool look for due rows, once it has room for them."""
        if self.engine is not None:
            await self.engine.wake(topic)

    async def stop_engine(self) -> None:
        """Gives back what is in flight, and ends what would never end by itself."""
        await self.overview.feeds.close()
        if self.engine is not None:
            await self.engine.stop()

    async def stop(self) -> None:
        """Gives back what is in flight. What was opened is closed by the lifetimes that the service was built with."""
        await self.stop_engine()
        await self.notifiers.close()


async def build(
    settings: Settings,
    process: Process,
    upstreams: Upstreams,
    role: Role,
    lifetimes: AsyncExitStack,
    siblings: Link | None = None,
) -> Service:
    """The whole service, not yet started; what it opens is closed by `lifetimes`. `siblings` are the other processes of
    the same `serve`. Raises StorageUnavailable, SettingsError, ResultsUnwritable."""
    instruments, stores = process.instruments, make_stores(process.database)
    sharing = make_sharing(settings, stores, instruments, lifetimes, siblings)
    overview = make_overview(process, stores.overview, lifetimes)
    weights, local = Weights(), LocalNotifier()
    provider = opened(upstreams.provider(instruments, overview.providers.health, weights), lifetimes)
    webhooks = await make_webhooks(settings, stores, local, instruments, lifetimes)
    kinds = make_kinds(settings, provider, webhooks.guard, stores, sharing.windows, weights, instruments, lifetimes)
    jobs = await _open_jobs(process, kinds, lifetimes)
    every_receiver = opened(EveryReceiver(stores.deliveries, jobs.tenants, instruments.clock.monotonic), lifetimes)
    depths = opened(Depths(jobs, instruments.clock), lifetimes)
    key_uses = opened(KeyUses(stores.accounts, instruments.clock), lifetimes)
    weight_reader = opened(Repeated(WeightReader(stores.accounts, weights).read), lifetimes)
    heap = opened(Repeated(give_back), lifetimes)
    results, retention = _make_results(settings, role, instruments, lifetimes)
    engine = None
    if role is not Role.API:
        engine = make_engine(settings, jobs, stores, kinds.registry, webhooks, sharing, local, weights, instruments)
    notifiers = make_notifiers(settings, local, engine, instruments, siblings, serves=role is not Role.WORKER)
    return Service(
        settings=settings,
        process=process,
        stores=stores,
        sharing=sharing,
        kinds=kinds,
        provider=provider,
        default_model=upstreams.default_model,
        jobs=jobs,
        submitter=_make_submitter(settings, jobs, webhooks.guard, notifiers.notifier, engine, instruments),
        calls=make_calls(settings, process, stores, jobs, kinds, provider, results, upstreams.default_model),
        webhooks=webhooks,
        every_receiver=every_receiver,
        overview=overview,
        authenticator=make_authenticator(settings, stores.accounts, sharing.rates, instruments.clock, key_uses),
        key_uses=key_uses,
        idempotency=IdempotencyRecords(stores.idempotency, settings.lease_seconds, instruments.log),
        depths=depths,
        page=make_page(process.metrics, siblings),
        engine=engine,
        notifiers=notifiers,
        background=(depths, retention, overview.activity, overview.providers, key_uses, weight_reader, heap),
    )


async def _open_jobs(process: Process, kinds: Kinds, lifetimes: AsyncExitStack) -> JobStore:
    """With its backlog counted."""
    jobs = opened(JobStore(process.database, kinds.registry, process.backlog), lifetimes)
    await jobs.count_open()
    return jobs


def _make_submitter(
    settings: Settings,
    jobs: JobStore,
    guard: AddressGuard,
    notifier: Notifier,
    engine: Engine | None,
    instruments: Instruments,
) -> Submitter:
    limits = Limits(settings.conversation_max_pending, settings.max_queued_jobs, settings.max_queued_jobs_per_tenant)
    births = None if engine is None else engine.births
    return Submitter(jobs, guard, notifier, limits, settings.job_deadline_seconds, instruments, births)


def _make_results(
    settings: Settings, role: Role, instruments: Instruments, lifetimes: AsyncExitStack
) -> tuple[ResultsFolder, Startable]:
    """The folder of benchmarks' files, and what deletes old ones."""
    results = ResultsFolder(settings.benchmarks_dir)
    if role is not Role.WORKER and "benchmarks_dir" in settings.model_fields_set:
        # A folder that the settings name must take files from the start; the default one is made when it is needed.
        results.make()
    retention = Retention(results, settings.retention_days * DAY, instruments.log)
    return results, opened(Repeated(retention.prune), lifetimes)
