"""Putting the service together: the only place that builds adapters."""

import time
from dataclasses import dataclass

from answerback.api.auth import Authenticator
from answerback.core.asking import Asker
from answerback.core.callbacks import render
from answerback.core.control import Control
from answerback.core.deliverer import Deliverer
from answerback.core.executor import Executor
from answerback.core.intake import Intake
from answerback.core.maintenance import Maintenance
from answerback.core.signing import Signer
from answerback.engines.embedded import EmbeddedEngine
from answerback.engines.hints import ProcessHints
from answerback.ports import Boundary, Log, Provider, Reached, Store
from answerback.providers.mock import MockProvider
from answerback.providers.openai_compatible import OpenAICompatible
from answerback.providers.routing import FallbackProvider, Route
from answerback.settings import Settings
from answerback.storage.sqlite import open_sqlite
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
    engine: EmbeddedEngine
    sender: WebhookSender
    guard: AddressGuard

    async def stop(self) -> None:
        """Gives back what is in flight, then closes what was opened."""
        await self.engine.stop()
        await self.sender.close()
        await self.guard.close()
        await self.provider.close()
        await self.store.close()


def nothing(_: Boundary) -> None:
    """What happens at a commit boundary outside of tests."""


async def open_store(settings: Settings) -> Store:
    """Raises StorageUnavailable."""
    return await open_sqlite(settings.database_path, SystemClock(), render)


def secret_of(settings: Settings) -> str | None:
    """The configured signing secret."""
    return settings.callback_hmac_secret.get_secret_value() if settings.callback_hmac_secret else None


def build(settings: Settings, store: Store, log: Log, reached: Reached = nothing) -> Service:
    """The whole service on an open store, its engine not yet started."""
    clock = SystemClock()
    hints = ProcessHints()
    provider = _provider(settings, clock, log)
    guard = AddressGuard(settings.callback_allowed_networks, allow_loopback=settings.loopback_only)
    sender = WebhookSender(guard, clock.now, settings.callback_timeout_seconds)
    executor = Executor(store, provider, hints, settings.memory, settings.llm_timeout_seconds, clock, log, reached)
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
    )
    engine = EmbeddedEngine(
        store=store,
        executor=executor,
        deliverer=deliverer,
        maintenance=Maintenance(store, hints, settings.retention_days, clock, log),
        hints=hints,
        concurrency=settings.worker_concurrency,
        lease_seconds=settings.lease_seconds,
        clock=clock,
        log=log,
    )
    token = settings.auth_token.get_secret_value() if settings.auth_token else None
    return Service(
        settings=settings,
        log=log,
        store=store,
        provider=provider,
        intake=Intake(store, guard, hints, settings.limits, settings.job_deadline_seconds, log, reached),
        control=Control(store, hints, log),
        authenticator=Authenticator(store, token, settings.auth_disabled, clock),
        asker=Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log),
        engine=engine,
        sender=sender,
        guard=guard,
    )


def _provider(settings: Settings, clock: SystemClock, log: Log) -> Provider:
    if settings.mock:
        return MockProvider(settings.mock_delay_seconds)
    key = settings.provider_api_key
    provider = OpenAICompatible(
        base_url=settings.provider_base_url,
        api_key=key.get_secret_value() if key else None,
        default_model=settings.default_model,
        connect_timeout=settings.connection_timeout,
        now=clock.now,
        app_url=settings.public_base_url,
    )
    if not settings.llm_fallback_models:
        return provider
    models = (settings.default_model, *settings.llm_fallback_models)
    default = [Route(provider, model) for model in models]
    return FallbackProvider({settings.default_model: default}, default, provider, clock.monotonic, log)
