"""Putting the service together: the only place that builds adapters."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dotenv import dotenv_values

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
from answerback.core.reviewing import ChatReviewer, PushReviewer, Reviewer
from answerback.core.signing import Signer
from answerback.documents.reader import DocumentReader
from answerback.domain.errors import StorageUnavailable
from answerback.engines.embedded import EmbeddedEngine
from answerback.engines.hints import ProcessHints
from answerback.observability.metrics import PrometheusMetrics
from answerback.observability.tracing import make_tracer
from answerback.ports import Boundary, Log, Provider, Reached, Store
from answerback.providers.mock import MODEL, MockProvider
from answerback.providers.observed import ObservedProvider
from answerback.providers.openai_compatible import OpenAICompatible
from answerback.providers.pacing import Gate, PacedProvider
from answerback.providers.push import PushProvider
from answerback.providers.routes_file import ProviderEntry, RoutesFileError, load_routes
from answerback.providers.routing import FallbackProvider, Route
from answerback.settings import Settings
from answerback.storage.results import ResultsFolder
from answerback.storage.sqlite import open_sqlite
from answerback.telemetry import UNMEASURED, UNTRACED, Metrics, Tracer
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
    if settings.database_path is None:
        raise StorageUnavailable("PostgreSQL is not wired up yet")
    return await open_sqlite(settings.database_path, SystemClock(), render)


def secret_of(settings: Settings) -> str | None:
    """The configured signing secret."""
    return settings.callback_hmac_secret.get_secret_value() if settings.callback_hmac_secret else None


def build(settings: Settings, store: Store, log: Log, reached: Reached = nothing) -> Service:
    """The whole service on an open store, its engine not yet started. Raises RoutesFileError."""
    clock = SystemClock()
    hints = ProcessHints()
    metrics = PrometheusMetrics()
    tracer = make_tracer(os.environ, log)
    provider = _provider(settings, clock, log, metrics, tracer)
    guard = AddressGuard(settings.callback_allowed_networks, allow_loopback=settings.loopback_only)
    sender = WebhookSender(guard, clock.now, settings.callback_timeout_seconds)
    tokens = CallbackTokens(store)
    reviewer = _reviewer(settings, provider, guard, tokens, clock)
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
    token = settings.auth_token.get_secret_value() if settings.auth_token else None
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Service(
        settings=settings,
        log=log,
        store=store,
        provider=provider,
        intake=Intake(
            store, guard, hints, settings.limits, settings.job_deadline_seconds, log, reached, metrics, tracer
        ),
        control=Control(store, hints, log, metrics),
        authenticator=Authenticator(
            store, token, settings.auth_disabled, clock, RateLimiter(MovingWindows(), settings.rate)
        ),
        asker=asker,
        questions=Questions(asker, store, log),
        catalog=catalog,
        generation=Generation(asker, catalog),
        benchmark=Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), log),
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
    provider = _provider(settings, clock, log)
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), log), provider


def _catalog(settings: Settings, asker: Asker, clock: SystemClock, log: Log) -> Catalog:
    return Catalog(asker, settings.cache_ttl, clock, log, always=(settings.default_model,))


def _provider(
    settings: Settings,
    clock: SystemClock,
    log: Log,
    metrics: Metrics = UNMEASURED,
    tracer: Tracer = UNTRACED,
) -> Provider:
    if settings.mock:
        return ObservedProvider(MockProvider(settings.mock_delay_seconds), MODEL, metrics, tracer)

    def upstream(entry: ProviderEntry, default_model: str, name: str | None = None) -> Provider:
        provider = OpenAICompatible(
            base_url=entry.base_url,
            api_key=entry.key(),
            default_model=default_model,
            connect_timeout=settings.connection_timeout,
            now=clock.now,
            app_url=settings.public_base_url,
            name=name,
        )
        gate = Gate(entry.requests_per_minute, entry.concurrency, clock.monotonic)
        return PacedProvider(ObservedProvider(provider, default_model, metrics, tracer), gate, default_model, log)

    if settings.llm_routes_file is not None:
        return _routed(settings, upstream, clock, log)
    entry = ProviderEntry(
        base_url=settings.provider_base_url,
        api_key=settings.provider_api_key,
        requests_per_minute=settings.upstream_requests_per_minute,
        concurrency=settings.upstream_concurrency,
    )
    provider = upstream(entry, settings.default_model)
    if not settings.llm_fallback_models:
        return provider
    models = (settings.default_model, *settings.llm_fallback_models)
    default = [Route(provider, model) for model in models]
    return FallbackProvider({settings.default_model: default}, default, provider, clock.monotonic, log)


class _Upstream(Protocol):
    """Makes a provider."""

    def __call__(self, entry: ProviderEntry, default_model: str, name: str | None = None) -> Provider: ...


def _routed(settings: Settings, upstream: _Upstream, clock: SystemClock, log: Log) -> Provider:
    if settings.llm_routes_file is None or settings.llm_fallback_models:
        raise RoutesFileError("LLM_ROUTES_FILE excludes LLM_FALLBACK_MODELS: name those models in the file")
    # The keys may stand in `.env` like the other settings; the environment wins.
    file = load_routes(settings.llm_routes_file, _environment())
    default_model = settings.llm_model or file.default_route
    providers = {name: upstream(entry, default_model, name) for name, entry in file.providers.items()}
    routes = {
        name: [Route(providers[step.provider], step.model) for step in steps] for name, steps in file.routes.items()
    }
    otherwise = next(iter(providers.values()))
    default = routes.get(default_model) or [Route(otherwise, default_model)]
    return FallbackProvider(routes, default, otherwise, clock.monotonic, log)


def _environment() -> Mapping[str, str]:
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return from_file | dict(os.environ)
