"""A service that has been put together: what its doors and its process talk to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from answerback.accounts.auth import Authenticator
from answerback.ask.ask import Questions
from answerback.benchmark.run import Benchmark
from answerback.bootstrap.sharing import Sharing
from answerback.conversations.memory import Conversations
from answerback.generate.generate import Generation
from answerback.http.idempotency import IdempotencyRecords
from answerback.jobs.control import Control
from answerback.jobs.engine import EmbeddedEngine
from answerback.jobs.metrics_routes import Depths
from answerback.jobs.store import SqlStore
from answerback.jobs.submit import Intake
from answerback.kernel.log import Log
from answerback.kernel.telemetry import Tracer
from answerback.llm.asking import Asker
from answerback.llm.catalog import Catalog
from answerback.llm.provider import Provider
from answerback.observability.metrics import PrometheusMetrics
from answerback.queue.notifiers.local import Kind
from answerback.queue.notifiers.publisher import Publisher
from answerback.reviews.llm_callbacks import LlmCallbacks
from answerback.reviews.run import Reviewer
from answerback.settings import Settings
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.sender import WebhookSender


class Role(StrEnum):
    """What a process does: the doors, the work, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that the doors and the process talk to. `engine` is None where others do the work, `publisher` where
    there is nobody to tell."""

    settings: Settings
    log: Log
    store: SqlStore
    provider: Provider
    intake: Intake
    control: Control
    conversations: Conversations
    authenticator: Authenticator
    signing_secrets: SigningSecrets
    asker: Asker
    questions: Questions
    catalog: Catalog
    generation: Generation
    benchmark: Benchmark
    idempotent_calls: IdempotencyRecords
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
