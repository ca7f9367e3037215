"""What a process works with: whoever answers, whoever calls back, and the engine that runs both."""

import os
from dataclasses import dataclass

from answerback.conversations.ports import Windows
from answerback.jobs.engine import EmbeddedEngine
from answerback.jobs.maintenance import Maintenance
from answerback.jobs.ports import Store
from answerback.jobs.run import Executor
from answerback.kernel.clock import SystemClock
from answerback.kernel.failpoints import OnFailpoint
from answerback.kernel.log import Log
from answerback.kernel.telemetry import Tracer
from answerback.llm.observed import ObservedReviewLLM
from answerback.llm.pacing import Gate, PacedReviewLLM
from answerback.llm.provider import Provider
from answerback.observability.metrics import PrometheusMetrics
from answerback.observability.tracing import make_tracer
from answerback.queue.notifiers.local import LocalNotifier
from answerback.reviews.files.fetcher import FileFetcher
from answerback.reviews.files.reader import DocumentReader
from answerback.reviews.llm_callbacks import CallbackTokens
from answerback.reviews.push import REVIEWS, PushProvider
from answerback.reviews.run import ChatReviewer, PushReviewer, Reviewer
from answerback.settings import Settings
from answerback.webhooks.breaker import OriginGate
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.sender import WebhookSender
from answerback.webhooks.signer import Signer


@dataclass(frozen=True, slots=True)
class Instruments:
    """What every part reads the time from and tells of its doings."""

    clock: SystemClock
    log: Log
    metrics: PrometheusMetrics
    tracer: Tracer
    failpoint: OnFailpoint


def make_instruments(models: frozenset[str], log: Log, failpoint: OnFailpoint) -> Instruments:
    """`models` are those that metrics call by name."""
    return Instruments(
        SystemClock(), log, PrometheusMetrics(models | {REVIEWS}), make_tracer(os.environ, log), failpoint
    )


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
    signing_secrets: SigningSecrets,
    windows: Windows,
    notifier: LocalNotifier,
    tell: Instruments,
) -> EmbeddedEngine:
    executor = Executor(
        store,
        provider,
        notifier,
        settings.memory,
        settings.llm_timeout_seconds,
        tell.log,
        tell.failpoint,
        reviewer,
        tell.metrics,
        tell.tracer,
        windows,
    )
    deliverer = Deliverer(
        store=store,
        sender=sender,
        origins=OriginGate(tell.clock.monotonic),
        signer=Signer(signing_secrets, tell.clock),
        notifier=notifier,
        schedule=settings.callback_schedule,
        clock=tell.clock,
        log=tell.log,
        failpoint=tell.failpoint,
        metrics=tell.metrics,
        tracer=tell.tracer,
    )
    return EmbeddedEngine(
        store=store,
        executor=executor,
        deliverer=deliverer,
        maintenance=Maintenance(
            store, notifier, settings.retention_days, settings.lease_seconds, tell.clock, tell.log, tell.metrics
        ),
        notifier=notifier,
        concurrency=settings.worker_concurrency,
        lease_seconds=settings.lease_seconds,
        clock=tell.clock,
        log=tell.log,
    )
