"""Putting the service together: the only place that builds adapters."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from answerback.api.auth import Authenticator
from answerback.api.metrics import Depths
from answerback.api.ratelimit import RateLimiter
from answerback.bootstrap.clock import SystemClock
from answerback.bootstrap.database import migrate as migrate
from answerback.bootstrap.database import open_store as open_store
from answerback.bootstrap.fleet import hints_at_doors, make_publisher
from answerback.bootstrap.providers import make_provider
from answerback.bootstrap.sharing import Sharing, make_sharing
from answerback.core.asking import Asker
from answerback.core.benchmark import Benchmark
from answerback.core.catalog import Catalog
from answerback.core.control import Control
from answerback.core.conversation import Conversations
from answerback.core.deliverer import Deliverer
from answerback.core.executor import Executor
from answerback.core.generation import Generation
from answerback.core.intake import Intake
from answerback.core.llm_callbacks import CallbackTokens, LlmCallbacks
from answerback.core.maintenance import Maintenance
from answerback.core.questions import Questions
from answerback.core.reviewing import ChatReviewer, PushReviewer, Reviewer
from answerback.core.signing import Signer
from answerback.documents.reader import DocumentReader
from answerback.engines.embedded import EmbeddedEngine
from answerback.engines.hints import Kind, ProcessHints
from answerback.engines.publishing import Publisher
from answerback.observability.metrics import PrometheusMetrics
from answerback.observability.tracing import make_tracer
from answerback.ports import Boundary, Log, Provider, Reached, Store
from answerback.providers.push import PushProvider
from answerback.settings import Settings
from answerback.storage.results import ResultsFolder
from answerback.telemetry import Tracer
from answerback.webhooks.fetcher import FileFetcher
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.origins import OriginGate
from answerback.webhooks.sender import WebhookSender


class Role(StrEnum):
    """What a process does: the doors, the work, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


def nothing(_: Boundary) -> None:
    """What happens at a commit boundary outside of tests."""


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that the doors and the process talk to. `engine` is None where others do the work, `publisher` where
    there is nobody to tell."""

    settings: Settings
    log: Log
    store: Store
    provider: Provider
    intake: Intake
    control: Control
    conversations: Conversations
    authenticator: Authenticator
    asker: Asker
    questions: Questions
    catalog: Catalog
    generation: Generation
    benchmark: Benchmark
    engine: EmbeddedEngine | None
    publisher: Publisher | None
    sharing: Sharing
    sender: WebhookSender
    guard: AddressGuard
    llm_callbacks: LlmCallbacks
    reviewer: Reviewer
    metrics: PrometheusMetrics
    depths: Depths
    tracer: Tracer

    @property
    def healthy(self) -> bool:
        """Whether whatever this process should run does."""
        return self.engine is None or self.engine.healthy

    def start(self, broke: Callable[[], None] | None = None) -> None:
        """Begins to work in the running event loop. `broke` is called if the engine ever ends by itself."""
        self.sharing.start()
        if self.engine is not None:
            self.engine.start(broke)
        if self.publisher is not None:
            self.publisher.start()

    async def wake(self, kind: Kind) -> None:
        """Looks for what is due as soon as there is room for it."""
        if self.engine is not None:
            await self.engine.wake(kind)

    async def stop_engine(self) -> None:
        """Gives back what is in flight."""
        if self.engine is not None:
            await self.engine.stop()

    async def stop(self) -> None:
        """Gives back what is in flight, then closes what was opened."""
        await self.stop_engine()
        if self.publisher is not None:
            await asyncio.to_thread(self.publisher.close)
        await self.sharing.close()
        await self.sender.close()
        await self.reviewer.close()
        await self.guard.close()
        await self.provider.close()
        await self.store.close()
        await asyncio.to_thread(self.tracer.close)


def secret_of(settings: Settings) -> str | None:
    """The configured signing secret."""
    return settings.callback_hmac_secret.get_secret_value() if settings.callback_hmac_secret else None


def build(settings: Settings, store: Store, log: Log, role: Role = Role.ALL, reached: Reached = nothing) -> Service:
    """The whole service on an open store, not yet started. Raises RoutesFileError, SettingsError."""
    clock = SystemClock()
    hints = ProcessHints()
    metrics = PrometheusMetrics()
    tracer = make_tracer(os.environ, log)
    provider = make_provider(settings, clock, log, metrics, tracer)
    guard = AddressGuard(settings.callback_allowed_networks, allow_loopback=settings.loopback_only)
    sender = WebhookSender(guard, clock.now, settings.callback_timeout_seconds)
    tokens = CallbackTokens(store)
    reviewer = _reviewer(settings, provider, guard, tokens, clock)
    sharing = make_sharing(settings, store, log, metrics)
    executor = Executor(
        store,
        provider,
        hints,
        settings.memory,
        settings.llm_timeout_seconds,
        log,
        reached,
        reviewer,
        metrics,
        tracer,
        sharing.windows,
    )
    deliverer = Deliverer(
        store=store,
        sender=sender,
        origins=OriginGate(clock.monotonic),
        signer=Signer(store, secret_of(settings), clock),
        hints=hints,
        schedule=settings.callback_schedule,
        clock=clock,
        log=log,
        reached=reached,
        metrics=metrics,
        tracer=tracer,
    )
    engine = None
    if role is not Role.API:
        engine = EmbeddedEngine(
            store=store,
            executor=executor,
            deliverer=deliverer,
            maintenance=Maintenance(store, hints, settings.retention_days, clock, log, metrics),
            hints=hints,
            concurrency=settings.worker_concurrency,
            lease_seconds=settings.lease_seconds,
            clock=clock,
            log=log,
        )
    publisher = None if role is Role.WORKER else make_publisher(settings, log, metrics)
    at_doors = hints_at_doors(hints, engine, publisher)
    token = settings.auth_token.get_secret_value() if settings.auth_token else None
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Service(
        settings=settings,
        log=log,
        store=store,
        provider=provider,
        intake=Intake(
            store, guard, at_doors, settings.limits, settings.job_deadline_seconds, log, reached, metrics, tracer
        ),
        control=Control(store, at_doors, log, metrics),
        conversations=Conversations(store, sharing.windows),
        authenticator=Authenticator(
            store, token, settings.auth_disabled, clock, RateLimiter(sharing.rates, settings.rate)
        ),
        asker=asker,
        questions=Questions(asker, store, log),
        catalog=catalog,
        generation=Generation(asker, catalog),
        benchmark=Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), log),
        engine=engine,
        publisher=publisher,
        sharing=sharing,
        sender=sender,
        guard=guard,
        llm_callbacks=LlmCallbacks(store, tokens, at_doors, log, metrics),
        reviewer=reviewer,
        metrics=metrics,
        depths=Depths(store, clock),
        tracer=tracer,
    )


def _reviewer(
    settings: Settings, provider: Provider, guard: AddressGuard, tokens: CallbackTokens, clock: SystemClock
) -> Reviewer:
    if settings.llm_api_url is None:
        return ChatReviewer(provider, FileFetcher(guard), DocumentReader())
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else None
    llm = PushProvider(settings.llm_api_url, key, settings.connection_timeout, clock.now)
    return PushReviewer(llm, tokens, settings.public_base_url, settings.llm_callback_timeout_seconds)


def build_benchmark(settings: Settings, log: Log) -> tuple[Benchmark, Provider]:
    """Benchmarks without the rest of the service, and the provider they ask, which is the caller's to close."""
    clock = SystemClock()
    provider = make_provider(settings, clock, log)
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), log), provider


def _catalog(settings: Settings, asker: Asker, clock: SystemClock, log: Log) -> Catalog:
    return Catalog(asker, settings.cache_ttl, clock, log, always=(settings.default_model,))
