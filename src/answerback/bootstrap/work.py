"""What a process works with: whoever answers, whoever calls back, and the engine that runs both."""

import os
from dataclasses import dataclass

from answerback.bootstrap.clock import SystemClock
from answerback.core.deliverer import Deliverer
from answerback.core.executor import Executor
from answerback.core.llm_callbacks import CallbackTokens
from answerback.core.maintenance import Maintenance
from answerback.core.reviewing import ChatReviewer, PushReviewer, Reviewer
from answerback.core.signing import Signer
from answerback.documents.reader import DocumentReader
from answerback.engines.embedded import EmbeddedEngine
from answerback.engines.hints import ProcessHints
from answerback.observability.metrics import PrometheusMetrics
from answerback.observability.tracing import make_tracer
from answerback.ports import Log, Provider, Reached, Store, Windows
from answerback.providers.observed import ObservedReviewLLM
from answerback.providers.pacing import Gate, PacedReviewLLM
from answerback.providers.push import REVIEWS, PushProvider
from answerback.settings import Settings
from answerback.telemetry import Tracer
from answerback.webhooks.fetcher import FileFetcher
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.origins import OriginGate
from answerback.webhooks.sender import WebhookSender


@dataclass(frozen=True, slots=True)
class Instruments:
    """What every part reads the time from and tells of its doings."""

    clock: SystemClock
    log: Log
    metrics: PrometheusMetrics
    tracer: Tracer
    reached: Reached


def make_instruments(models: frozenset[str], log: Log, reached: Reached) -> Instruments:
    """`models` are those that metrics call by name."""
    return Instruments(SystemClock(), log, PrometheusMetrics(models | {REVIEWS}), make_tracer(os.environ, log), reached)


def secret_of(settings: Settings) -> str | None:
    """The configured signing secret."""
    return settings.callback_hmac_secret.get_secret_value() if settings.callback_hmac_secret else None


def make_reviewer(
    settings: Settings, provider: Provider, guard: AddressGuard, tokens: CallbackTokens, tell: Instruments
) -> Reviewer:
    if settings.llm_api_url is None:
        return ChatReviewer(provider, FileFetcher(guard), DocumentReader())
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else None
    llm = PushProvider(settings.llm_api_url, key, settings.connection_timeout, tell.clock.now)
    observed = ObservedReviewLLM(llm, REVIEWS, tell.metrics, tell.tracer)
    gate = Gate(settings.upstream_requests_per_minute, settings.upstream_concurrency, tell.clock.monotonic)
    paced = PacedReviewLLM(observed, gate, REVIEWS, tell.log)
    return PushReviewer(paced, tokens, settings.public_base_url, settings.llm_callback_timeout_seconds)


def make_engine(
    settings: Settings,
    store: Store,
    provider: Provider,
    reviewer: Reviewer,
    sender: WebhookSender,
    windows: Windows,
    hints: ProcessHints,
    tell: Instruments,
) -> EmbeddedEngine:
    executor = Executor(
        store,
        provider,
        hints,
        settings.memory,
        settings.llm_timeout_seconds,
        tell.log,
        tell.reached,
        reviewer,
        tell.metrics,
        tell.tracer,
        windows,
    )
    deliverer = Deliverer(
        store=store,
        sender=sender,
        origins=OriginGate(tell.clock.monotonic),
        signer=Signer(store, secret_of(settings), tell.clock),
        hints=hints,
        schedule=settings.callback_schedule,
        clock=tell.clock,
        log=tell.log,
        reached=tell.reached,
        metrics=tell.metrics,
        tracer=tell.tracer,
    )
    return EmbeddedEngine(
        store=store,
        executor=executor,
        deliverer=deliverer,
        maintenance=Maintenance(
            store, hints, settings.retention_days, settings.lease_seconds, tell.clock, tell.log, tell.metrics
        ),
        hints=hints,
        concurrency=settings.worker_concurrency,
        lease_seconds=settings.lease_seconds,
        clock=tell.clock,
        log=tell.log,
    )
