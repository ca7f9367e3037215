"""What a process works with: whoever answers, whoever calls back, and the engine that runs both."""

from answerback.conversations.ports import Windows
from answerback.jobs.engine import EmbeddedEngine
from answerback.jobs.maintenance import Maintenance
from answerback.jobs.ports import Store
from answerback.jobs.run import Executor
from answerback.kernel.instruments import Instruments
from answerback.llm.limiter import UpstreamLimiter
from answerback.llm.provider import Provider
from answerback.queue.notifiers.local import LocalNotifier
from answerback.reviews.files.fetcher import FileFetcher
from answerback.reviews.files.reader import DocumentReader
from answerback.reviews.llm_callbacks import CallbackTokens
from answerback.reviews.push import PushProvider
from answerback.reviews.run import ChatReviewer, PushReviewer, Reviewer
from answerback.settings import Settings
from answerback.webhooks.breaker import OriginGate
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.sender import WebhookSender
from answerback.webhooks.signer import Signer


def secret_of(settings: Settings) -> str | None:
    """The configured signing secret."""
    return settings.callback_hmac_secret.get_secret_value() if settings.callback_hmac_secret else None


def make_reviewer(
    settings: Settings, provider: Provider, guard: AddressGuard, tokens: CallbackTokens, tell: Instruments
) -> Reviewer:
    if settings.llm_api_url is None:
        return ChatReviewer(provider, FileFetcher(guard), DocumentReader())
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else None
    per_minute, concurrency = settings.upstream_requests_per_minute, settings.upstream_concurrency
    limiter = UpstreamLimiter(PushProvider.name, tell, per_minute, concurrency)
    llm = PushProvider(settings.llm_api_url, key, settings.connection_timeout, limiter, tell)
    return PushReviewer(llm, tokens, settings.public_base_url, settings.llm_callback_timeout_seconds)


def make_engine(
    settings: Settings,
    store: Store,
    provider: Provider,
    reviewer: Reviewer,
    sender: WebhookSender,
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
        signer=Signer(store, secret_of(settings), tell.clock),
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
