"""Putting the service together: the only place that builds adapters."""

import asyncio
import os
import time
from dataclasses import dataclass

from answerback.api.auth import Authenticator
from answerback.api.metrics import Depths
from answerback.api.ratelimit import MovingWindows, RateLimiter
from answerback.core.asking import Asker
from answerback.core.benchmark import Benchmark
from answerback.core.callbacks import render
from answerback.core.catalog import Catalog
from answerback.core.control import Control
from answerback.core.deliverer import Deliverer
from answerback.core.executor import Executor
from answerback.core.generation import Generation
from answerback.core.intake import Intake
from answerback.core.llm_callbacks import CallbackTokens, LlmCallbacks
from answerback.core.maintenance import Maintenance
from answerback.core.questions import Questions
from answerback.core.replays import Replays
from answerback.core.reviewing import ChatReviewer, PushReviewer, Reviewer
from answerback.core.signing import Signer
from answerback.documents.reader import DocumentReader
from answerback.engines.embedded import EmbeddedEngine
from answerback.engines.hints import ProcessHints
from answerback.observability.metrics import PrometheusMetrics
from answerback.observability.tracing import make_tracer
from answerback.ports import Boundary, Log, Provider, Reached, Store
from answerback.providers.observed import ObservedReviewLLM
from answerback.providers.pacing import Gate, PacedReviewLLM
from answerback.providers.push import REVIEWS, PushProvider
from answerback.settings import Settings
from answerback.storage.results import ResultsFolder
from answerback.storage.sqlite import open_sqlite
from answerback.telemetry import Metrics, Tracer
from answerback.upstreams import Upstreams
from answerback.webhooks.fetcher import FileFetcher
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.origins import OriginGate
from answerback.webhooks.sender import WebhookSender


class SystemClock:
    """This machine's clocks."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that the doors and the process talk to."""

    settings: Settings
    log: Log
    store: Store
    provider: Provider
    intake: Intake
    control: Control
    authenticator: Authenticator
    asker: Asker
    questions: Questions
    catalog: Catalog
    generation: Generation
    benchmark: Benchmark
    replays: Replays
    engine: EmbeddedEngine
    sender: WebhookSender
    guard: AddressGuard
    llm_callbacks: LlmCallbacks
    reviewer: Reviewer
    metrics: PrometheusMetrics
    depths: Depths
    tracer: Tracer

    async def stop(self) -> None:
        """Gives back what is in flight, then closes what was opened."""
        await self.engine.stop()
        await self.sender.close()
        await self.reviewer.close()
        await self.guard.close()
        await self.provider.close()
        await self.store.close()
        await asyncio.to_thread(self.tracer.close)


def nothing(_: Boundary) -> None:
    """What happens at a commit boundary outside of tests."""


async def open_store(settings: Settings) -> Store:
    """Raises StorageUnavailable."""
    return await open_sqlite(settings.database_path, SystemClock(), render)


def secret_of(settings: Settings) -> str | None:
    """The configured signing secret."""
    return settings.callback_hmac_secret.get_secret_value() if settings.callback_hmac_secret else None


def build(settings: Settings, store: Store, log: Log, reached: Reached = nothing) -> Service:
    """The whole service on an open store, its engine not yet started. Raises RoutesFileError, ResultsUnwritable."""
    clock = SystemClock()
    hints = ProcessHints()
    upstreams = Upstreams(settings)
    metrics = PrometheusMetrics(upstreams.models | {REVIEWS})
    tracer = make_tracer(os.environ, log)
    provider = upstreams.provider(clock, log, metrics, tracer)
    guard = AddressGuard(settings.callback_allowed_networks, allow_loopback=settings.loopback_only)
    sender = WebhookSender(guard, clock.now, settings.callback_timeout_seconds)
    tokens = CallbackTokens(store)
    reviewer = _reviewer(settings, provider, guard, tokens, clock, log, metrics, tracer)
    executor = Executor(
        store,
        provider,
        hints,
        settings.memory,
        settings.llm_timeout_seconds,
        clock,
        log,
        reached,
        reviewer,
        metrics,
        tracer,
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
    results = ResultsFolder(settings.benchmarks_dir)
    if "benchmarks_dir" in settings.model_fields_set:
        # A folder that somebody named must be there; ours may be missing where nobody wants benchmarks.
        results.make()
    token = settings.auth_token.get_secret_value() if settings.auth_token else None
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Service(
        settings=settings,
        log=log,
        store=store,
        provider=provider,
        intake=Intake(
            store,
            guard,
            hints,
            settings.limits,
            settings.job_deadline_seconds,
            log,
            reached,
            metrics,
            tracer,
            reads_files=settings.llm_api_url is None,
        ),
        control=Control(store, hints, log, metrics),
        authenticator=Authenticator(
            store,
            token,
            settings.auth_disabled,
            clock,
            RateLimiter(MovingWindows(), settings.rate),
            hosts=settings.hosts,
        ),
        asker=asker,
        questions=Questions(asker, store, log),
        catalog=catalog,
        generation=Generation(asker, catalog),
        replays=Replays(store, settings.lease_seconds, log),
        benchmark=Benchmark(asker, catalog, results, upstreams.default_model, log),
        engine=engine,
        sender=sender,
        guard=guard,
        llm_callbacks=LlmCallbacks(store, tokens, hints, log, metrics),
        reviewer=reviewer,
        metrics=metrics,
        depths=Depths(store, clock),
        tracer=tracer,
    )


def _reviewer(
    settings: Settings,
    provider: Provider,
    guard: AddressGuard,
    tokens: CallbackTokens,
    clock: SystemClock,
    log: Log,
    metrics: Metrics,
    tracer: Tracer,
) -> Reviewer:
    if settings.llm_api_url is None:
        return ChatReviewer(provider, FileFetcher(guard), DocumentReader())
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else None
    llm = PushProvider(settings.llm_api_url, key, settings.connection_timeout, clock.now)
    gate = Gate(settings.upstream_requests_per_minute, settings.upstream_concurrency, clock.monotonic)
    paced = PacedReviewLLM(ObservedReviewLLM(llm, REVIEWS, metrics, tracer), gate, REVIEWS, log)
    return PushReviewer(paced, tokens, settings.public_base_url, settings.llm_callback_timeout_seconds)


def build_benchmark(settings: Settings, log: Log) -> tuple[Benchmark, Provider]:
    """Benchmarks without the rest of the service, and the provider they ask, which is the caller's to close."""
    clock = SystemClock()
    upstreams = Upstreams(settings)
    provider = upstreams.provider(clock, log)
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), upstreams.default_model, log), provider


def _catalog(settings: Settings, asker: Asker, clock: SystemClock, log: Log) -> Catalog:
    return Catalog(asker, settings.cache_ttl, clock, log, always=(settings.default_model,))
