"""The parts of a service, built from the settings."""

import gc
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from answerback.accounts.auth import Authenticator
from answerback.accounts.key_use import KeyUses
from answerback.ask.ask import Questions
from answerback.benchmark.results import ResultsFolder
from answerback.benchmark.retention import Retention
from answerback.benchmark.run import Benchmark
from answerback.bootstrap.accounts import make_authenticator, make_signing_secrets
from answerback.bootstrap.endpoints import make_endpoints, make_receivers
from answerback.bootstrap.engine import make_engine
from answerback.bootstrap.inbox import make_inbox
from answerback.bootstrap.kinds import Kinds, make_kinds, short_retries
from answerback.bootstrap.metrics_page import Page, make_page
from answerback.bootstrap.notifiers import Notifiers, make_notifiers
from answerback.bootstrap.runtime import Process
from answerback.bootstrap.sharing import Sharing, make_sharing
from answerback.bootstrap.stores import Stores, make_stores
from answerback.bootstrap.upstreams import Upstreams
from answerback.generate.generate import Generation
from answerback.http.idempotency import IdempotencyRecords
from answerback.inbox.inbox import Inbox
from answerback.inbox.sender import InboxSender
from answerback.jobs.ends import JobEnds
from answerback.jobs.engine import Engine
from answerback.jobs.metrics_routes import Depths
from answerback.jobs.model import Limits
from answerback.jobs.store import JobStore
from answerback.jobs.submit import Submitter
from answerback.kernel.ids import new_id
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import DAY
from answerback.kernel.telemetry import JobEnd
from answerback.llm.asking import Asker, uncounted
from answerback.llm.catalog import Catalog
from answerback.llm.health import Health
from answerback.llm.provider import Provider
from answerback.overview.activity import ActivityWriter
from answerback.overview.feed import Feeds
from answerback.overview.overviews import Overviews
from answerback.overview.provider_reports import ProviderReports
from answerback.queue.notifier import Notifier, Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.responses.create import Responder
from answerback.settings import Settings
from answerback.siblings.link import Link
from answerback.webhooks.endpoint_routes import Endpoints
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.receiver_routes import Receivers
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.sender import WebhookSender

YOUNG_OBJECTS = 10_000
"""How many more objects than now make Python look for cycles among the new ones. With its own 700 that took 8 % of a
job's CPU: each job in flight is made of hundreds that live until its end."""


class Closable(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Role(StrEnum):
    """What a process does: serve routes, work, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Service:
    """`engine` is None where other processes do the work."""

    settings: Settings
    process: Process
    stores: Stores
    sharing: Sharing
    kinds: Kinds
    jobs: JobStore
    submitter: Submitter
    authenticator: Authenticator
    signing_secrets: SigningSecrets
    endpoints: Endpoints
    receivers: Receivers
    guard: AddressGuard
    provider: Provider
    asker: Asker
    responder: Responder
    ends: JobEnds
    default_model: str
    catalog: Catalog
    questions: Questions
    generation: Generation
    benchmark: Benchmark
    retention: Retention
    idempotency: IdempotencyRecords
    depths: Depths
    engine: Engine | None
    notifiers: Notifiers
    page: Page
    providers: ProviderReports
    overviews: Overviews
    feeds: Feeds
    inbox: Inbox
    activity: ActivityWriter
    key_uses: KeyUses

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
        self.depths.start()
        self.retention.start()
        self.activity.start()
        self.providers.start()
        self.key_uses.start()
        if self.engine is not None:
            self.engine.start(broke)
        self.notifiers.start()

    async def wake(self, topic: Topic) -> None:
        """Lets the topic's worker pool look for due rows, once it has room for them."""
        if self.engine is not None:
            await self.engine.wake(topic)

    async def stop_engine(self) -> None:
        """Gives back what is in flight, and ends what would never end by itself."""
        await self.feeds.close()
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

    def opened(made: C) -> C:
        lifetimes.push_async_callback(made.close)
        return made

    instruments = process.instruments
    stores = make_stores(process.database)
    sharing = make_sharing(settings, stores, instruments, lifetimes, siblings)
    health = Health(instruments.clock)
    provider = opened(upstreams.provider(instruments, health))
    signing_secrets = make_signing_secrets(settings, stores.secrets)
    inbox = make_inbox(settings.public_base_url, stores, signing_secrets)
    guard = opened(_make_guard(settings, inbox, instruments))
    sender = opened(InboxSender(WebhookSender(guard, instruments.clock.now, settings.callback_timeout_seconds), inbox))
    kinds = make_kinds(settings, provider, guard, stores, sharing.windows, instruments, lifetimes)
    jobs = opened(JobStore(process.database, kinds.registry, process.backlog))
    await jobs.count_open()
    depths = opened(Depths(jobs, instruments.clock))
    overviews = opened(Overviews(stores.overview, instruments.clock.monotonic))
    process_id = new_id("process_", instruments.clock.now())
    providers = opened(ProviderReports(health, stores.overview, process_id, instruments.clock.monotonic))
    key_uses = opened(KeyUses(stores.accounts, instruments.clock))
    activity = opened(ActivityWriter(process.activity, stores.overview, instruments.log))
    local, ends = LocalNotifier(), JobEnds()
    engine = None
    if role is not Role.API:
        engine = make_engine(
            settings, jobs, stores, kinds.registry, sender, signing_secrets, sharing.windows, local, ends, instruments
        )
    notifiers = make_notifiers(settings, local, engine, instruments, siblings, serves=role is not Role.WORKER)
    submitter = _make_submitter(settings, jobs, guard, notifiers.notifier, engine, instruments)
    asker = make_asker(settings, provider, instruments, process.activity.called)
    catalog = Catalog(asker, settings.cache_ttl, instruments, always=(upstreams.default_model,))
    results = _make_results(settings, role)
    retention = opened(Retention(results, settings.retention_days * DAY, instruments.log))
    return Service(
        settings=settings,
        process=process,
        stores=stores,
        sharing=sharing,
        kinds=kinds,
        jobs=jobs,
        submitter=submitter,
        authenticator=make_authenticator(settings, stores.accounts, sharing.rates, instruments.clock, key_uses),
        signing_secrets=signing_secrets,
        endpoints=make_endpoints(stores, signing_secrets, guard, sender, instruments.clock),
        receivers=make_receivers(stores, signing_secrets, guard, sender, instruments.clock),
        guard=guard,
        provider=provider,
        asker=asker,
        responder=Responder(asker, kinds.contexts, jobs, upstreams.default_model, instruments),
        ends=ends,
        default_model=upstreams.default_model,
        catalog=catalog,
        questions=Questions(asker, stores.questions, instruments.log),
        generation=Generation(asker, catalog),
        benchmark=Benchmark(asker, catalog, results, upstreams.default_model, instruments.log),
        retention=retention,
        idempotency=IdempotencyRecords(stores.idempotency, settings.lease_seconds, instruments.log),
        depths=depths,
        engine=engine,
        notifiers=notifiers,
        page=make_page(process.metrics, siblings),
        providers=providers,
        overviews=overviews,
        feeds=Feeds(instruments.log),
        inbox=inbox,
        activity=activity,
        key_uses=key_uses,
    )


def _make_guard(settings: Settings, inbox: Inbox, instruments: Instruments) -> AddressGuard:
    return AddressGuard(
        settings.callback_allowed_networks,
        settings.loopback_only,
        monotonic=instruments.clock.monotonic,
        slot_factor=settings.tenant_slot_factor,
        own_port=settings.app_port,
        never_called=inbox.is_address,
    )


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


def _make_results(settings: Settings, role: Role) -> ResultsFolder:
    results = ResultsFolder(settings.benchmarks_dir)
    if role is not Role.WORKER and "benchmarks_dir" in settings.model_fields_set:
        # A folder that the settings name must take files from the start; the default one is made when it is needed.
        results.make()
    return results


def make_asker(
    settings: Settings, provider: Provider, instruments: Instruments, ended: Callable[[JobEnd], None] = uncounted
) -> Asker:
    """The `Asker` of all synchronous routes. `ended` counts how calls end."""
    return Asker(provider, short_retries(settings), settings.llm_timeout_seconds, instruments, ended=ended)
