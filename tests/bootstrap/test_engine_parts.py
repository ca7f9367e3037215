"""What the engine is built with, as its claims show it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from answerback.bootstrap.engine import make_engine
from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.engine import Engine
from answerback.jobs.kind import Queue
from answerback.kernel.instruments import Instruments
from answerback.kernel.shares import Weights
from answerback.queue.notifier import Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.settings import Settings
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.signing.secrets import SigningSecrets
from builders import Journal, RealClock, StubSender
from databases import SqliteDatabase
from stores import Stores

HEAVY, LIGHT = "heavy", "light"


class Calls:
    """Wraps a method, and lets a test wait for the end of a call."""

    def __init__(self, method: Any) -> None:
        self._method = method
        self._ended = asyncio.Condition()
        self.arguments: list[tuple[Any, ...]] = []

    async def __call__(self, *arguments: Any) -> Any:
        returned = await self._method(*arguments)
        async with self._ended:
            self.arguments.append(arguments)
            self._ended.notify_all()
        return returned

    async def next(self, among: Queue | None = None) -> tuple[Any, ...]:
        """The arguments of the next call that ends; of the next claim `among` jobs of a queue, if one is named."""
        seen = len(self.arguments)

        def found() -> list[tuple[Any, ...]]:
            return [each for each in self.arguments[seen:] if among is None or each[-1] is among]

        async with asyncio.timeout(30), self._ended:
            return (await self._ended.wait_for(found))[0]


@pytest.fixture
async def stores(path: Path) -> AsyncIterator[Stores]:
    stores = await SqliteDatabase(path).open(RealClock())
    yield stores
    await stores.close()


@pytest.fixture
def claims(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Calls:
    claims = Calls(stores.jobs.claim)
    monkeypatch.setattr(stores.jobs, "claim", claims)
    return claims


@pytest.fixture
def weights() -> Weights:
    return Weights()


@pytest.fixture
def notifier() -> LocalNotifier:
    return LocalNotifier()


@pytest.fixture
async def engine(stores: Stores, claims: Calls, weights: Weights, notifier: LocalNotifier) -> AsyncIterator[Engine]:
    settings = Settings(_env_file=None, worker_concurrency=10, tenant_slot_factor=4.0)  # type: ignore[call-arg]
    origins = CircuitBreakers(RealClock().monotonic)
    webhooks = SimpleNamespace(sender=StubSender(), secrets=SigningSecrets(stores.database), origins=origins)
    sharing = SimpleNamespace(windows=DatabaseWindows(stores.conversations))
    parts = settings, stores.jobs, stores, stores.kinds, webhooks, sharing, notifier, weights
    engine = make_engine(*parts, Instruments(Journal(), RealClock()))  # type: ignore[arg-type]
    yield engine
    await engine.stop()


async def held(engine: Engine, **wanted: int) -> dict[str, int]:
    """How many places each tenant gets of those that it wants, one tenant after the other."""
    got, let_go, asked = dict.fromkeys(wanted, 0), asyncio.Event(), asyncio.Semaphore(0)

    async def insert(tenant_id: str) -> None:
        async def insert_with(offer: object) -> None:
            got[tenant_id] += offer is not None
            asked.release()
            await let_go.wait()

        await engine.births.insert(tenant_id, insert_with)

    async with asyncio.TaskGroup() as tasks:
        for tenant_id, count in wanted.items():
            for _ in range(count):
                tasks.create_task(insert(tenant_id))
        for _ in range(sum(wanted.values())):
            await asked.acquire()
        let_go.set()
    return got


async def test_tenants_hold_slots_by_their_weights(
    claims: Calls, weights: Weights, notifier: LocalNotifier, engine: Engine
) -> None:
    weights.set({HEAVY: 4})

    engine.start()
    notifier.wake(Topic.JOBS)
    await claims.next(Queue.INTERACTIVE)

    # Without the weights the light tenant would get six.
    assert await held(engine, **{HEAVY: 3, LIGHT: 7}) == {HEAVY: 3, LIGHT: 4}


async def test_a_claim_of_batch_work_brings_as_much_as_its_pace_allows(claims: Calls, engine: Engine) -> None:
    engine.start()

    _, limit, *_ = await claims.next(Queue.BATCH)

    assert limit == 1
