"""The whole way of a message inside one process, with a stand-in for the LLM and for the receivers."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from answerback.jobs.control import Control
from answerback.jobs.maintenance import Maintenance

from answerback.jobs import engine as embedded
from answerback.jobs.engine import EmbeddedEngine
from answerback.jobs.model import JobState, Message
from answerback.jobs.run import Executor
from answerback.jobs.submit import Intake
from answerback.kernel.errors import SendError
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.llm.model import Answer, ChatRequest
from answerback.llm.reply import WholeReply
from answerback.queue.notifiers.local import LocalNotifier
from answerback.webhooks.breaker import CircuitBreakers
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.outcome import CallbackResponse
from answerback.webhooks.ports import Origins
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.signer import Signer
from builders import (
    MEMORY,
    ROOMY,
    TENANT,
    URL,
    Journal,
    RealClock,
    StubOrigins,
    StubSender,
    accept,
    claim_jobs,
    finish,
    nothing,
    raw,
    replied,
    rows,
)
from stores import Stores


class Echo:
    """Answers with what it was asked, once `let_go` is set."""

    name = "echo"

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def send(self, request: ChatRequest) -> WholeReply:
        self.requests.append(request)
        self.asked.set()
        await self.let_go.wait()
        return replied(Answer(f"re: {request.body['messages'][-1]['content']}", "echo", None, None))

    async def close(self) -> None:
        return


class Mailbox(StubSender):
    """Takes every callback, and lets a test wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Condition()

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        response = await super().send(url, headers, body)
        async with self.came:
            self.came.notify_all()
        return response

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, _, body in self.sent]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self.came:
            await self.came.wait_for(condition)


class HalfDead(Mailbox):
    """Somewhere else than at the usual address, nobody answers."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        if url != URL:
            self.refused += 1
            raise SendError("connection refused")
        return await super().send(url, headers, body)


class Guard:
    async def check(self, url: str) -> None:
        return


class Shop:
    """A service without its doors."""

    def __init__(
        self,
        stores: Stores,
        concurrency: int = 100,
        lease: float = 60.0,
        origins: Origins | None = None,
        mailbox: Mailbox | None = None,
    ) -> None:
        clock, notifier = RealClock(), LocalNotifier()
        self.store = store
        self.journal = Journal()
        self.provider = Echo()
        self.mailbox = mailbox or Mailbox()
        self.intake = Intake(stores, Guard(), notifier, ROOMY, 86_400.0, self.journal, nothing)
        self.control = Control(stores, notifier, self.journal)
        self.maintenance = Maintenance(stores, notifier, 30.0, lease, clock, self.journal)
        executor = Executor(stores, self.provider, notifier, MEMORY, 120.0, self.journal, nothing)
        deliverer = Deliverer(
            store=stores,
            sender=self.mailbox,
            origins=StubOrigins() if origins is None else origins,
            signer=Signer(SigningSecrets(stores, {}), clock),
            notifier=notifier,
            schedule=RetrySchedule((0.0, 5.0)),
            instruments=Instruments(self.journal, clock),
        )
        self.engine = EmbeddedEngine(
            stores, executor, deliverer, self.maintenance, notifier, concurrency, lease, clock, self.journal
        )


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Stores]:
    """On real time: the engine's loops run on it."""
    opened = await open_sqlite(path, RealClock(), render)
    yield opened
    await opened.close()


@pytest.fixture
async def shop(stores: Stores) -> AsyncIterator[Shop]:
    made = Shop(stores)
    yield made
    made.provider.let_go.set()
    await made.engine.stop()


async def test_every_conversation_is_answered_and_called_back_in_order(shop: Shop) -> None:
    shop.engine.start()
    for n in range(10):
        await asyncio.gather(
            *(shop.intake.accept(TENANT, Message(f"m{n}", session_id=f"s{c}"), URL) for c in range(50))
        )

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 500)

    told = defaultdict(list)
    for body in shop.mailbox.bodies:
        told[body["session_id"]].append((body["seq"], body["response"]))
    assert len(told) == 50
    assert all(answers == [(n + 1, f"re: m{n}") for n in range(10)] for answers in told.values())
    assert len(shop.provider.requests) == 500
    for request in shop.provider.requests:
        *earlier, last = [each["content"] for each in request.body["messages"]]
        n = int(last[1:])
        assert earlier == [text for k in range(n) for text in (f"m{k}", f"re: m{k}")]
    assert await shop.stores.jobs.count_open() == 0


async def test_what_was_waiting_before_the_start_is_found(shop: Shop) -> None:
    for n in range(5):
        await accept(shop.stores, f"m{n}", f"s{n}")

    shop.engine.start()

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 5)


async def test_a_conversation_that_waits_does_not_hold_the_others(shop: Shop) -> None:
    shop.provider.let_go.clear()
    shop.engine.start()
    for session in ("a", "b"):
        for text in ("first", "second"):
            await shop.intake.accept(TENANT, Message(f"{session}-{text}", session_id=session), URL)
    while len(shop.provider.requests) < 2:
        shop.provider.asked.clear()
        await asyncio.wait_for(shop.provider.asked.wait(), 20)

    said = {request.body["messages"][-1]["content"] for request in shop.provider.requests}

    assert said == {"a-first", "b-first"}


async def test_cancelling_a_running_job_stops_the_call_and_moves_the_line(shop: Shop) -> None:
    shop.provider.let_go.clear()
    shop.engine.start()
    first = await shop.intake.accept(TENANT, Message("first", session_id="s"), URL)
    await shop.intake.accept(TENANT, Message("second", session_id="s"), URL)
    await asyncio.wait_for(shop.provider.asked.wait(), 20)

    await shop.control.cancel(TENANT, first.job_id)
    shop.provider.let_go.set()
    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 2)

    assert [body["status"] for body in shop.mailbox.bodies] == ["cancelled", "completed"]
    assert "stale_result_discarded" not in shop.journal.events


async def test_callbacks_owed_to_a_dead_receiver_wait_without_being_claimed(stores: Stores, path: Path) -> None:
    """And hold up nobody behind them."""
    await asyncio.gather(*(accept(stores, session=None, callback_url="https://dead.example/") for _ in range(500)))
    await accept(stores, "the living", None)
    await asyncio.gather(*(finish(stores, claim) for claim in await claim_jobs(stores, limit=501)))
    mailbox = HalfDead()
    shop = Shop(stores, concurrency=20, origins=CircuitBreakers(RealClock().monotonic), mailbox=mailbox)

    shop.engine.start()
    await mailbox.until(lambda: len(mailbox.sent) == 1)
    await shop.engine.stop()

    ((claims, waiting),) = rows(
        path, "SELECT sum(lease_epoch), count(*) FROM deliveries WHERE url != ? AND state = 'pending'", URL
    )
    assert waiting == 500
    assert 1 <= mailbox.refused <= claims < 100


async def test_stopping_gives_attempts_back(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "GRACE_SECONDS", 0.0)
    shop = Shop(stores)
    shop.provider.let_go.clear()
    shop.engine.start()
    assert shop.engine.healthy
    job_id = (await shop.intake.accept(TENANT, Message("hi", session_id="s"), URL)).job_id
    await asyncio.wait_for(shop.provider.asked.wait(), 20)

    await shop.engine.stop()

    record = await stores.jobs.get(TENANT, job_id)
    assert (record.state, record.attempt, record.lease_losses) == (JobState.QUEUED, 0, 0)
    assert not shop.engine.healthy


async def test_an_answer_on_its_way_is_let_in_when_stopping(shop: Shop) -> None:
    shop.provider.let_go.clear()
    shop.engine.start()
    job_id = (await shop.intake.accept(TENANT, Message("hi", session_id="s"), URL)).job_id
    await asyncio.wait_for(shop.provider.asked.wait(), 20)

    stopping = asyncio.create_task(shop.engine.stop())
    await asyncio.sleep(0)
    shop.provider.let_go.set()
    await stopping

    assert (await shop.stores.jobs.get(TENANT, job_id)).answer == "re: hi"


async def test_a_job_whose_worker_vanished_is_answered_by_another(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id
    await stores.jobs.claim("a worker that vanishes", 1, 0.001)
    shop = Shop(stores)

    shop.engine.start()
    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)
    await shop.engine.stop()

    record = await stores.jobs.get(TENANT, job_id)
    assert (record.state, record.attempt, record.lease_losses) == (JobState.COMPLETED, 1, 1)


async def test_a_sweep_that_breaks_is_logged_and_made_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SWEEP_SECONDS", 0.001)
    sweep = shop.maintenance.sweep
    again = asyncio.Event()
    times = 0

    async def breaking() -> int:
        nonlocal times
        times += 1
        if times == 1:
            raise ZeroDivisionError
        again.set()
        return await sweep()

    monkeypatch.setattr(shop.maintenance, "sweep", breaking)
    shop.engine.start()

    await asyncio.wait_for(again.wait(), 20)

    assert shop.journal.events[0] == "sweep_broke"
    assert shop.engine.healthy


async def test_an_engine_whose_loop_ends_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def collapsing() -> int:
        raise ZeroDivisionError

    def also_collapsing(event: str, /, **fields: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shop.maintenance, "sweep", collapsing)
    monkeypatch.setattr(shop.journal, "exception", also_collapsing)
    broke = asyncio.Event()

    shop.engine.start(broke.set)

    await asyncio.wait_for(broke.wait(), 20)
    assert not shop.engine.healthy
    assert "engine_loop_broke" in shop.journal.events


async def test_a_job_of_another_version_is_told_once_and_its_text_never(shop: Shop, path: Path) -> None:
    job_id = (await accept(shop.stores, "hello")).job_id
    with raw(path) as connection:
        connection.execute("UPDATE jobs SET request = '{\"secret\": 1}'")
    shop.engine.start()
    await shop.journal.seen("job_unreadable")
    for _ in range(2):
        with raw(path) as connection:
            connection.execute("UPDATE jobs SET run_at = 0")
        await shop.intake.accept(TENANT, Message("hi", stateless=True), URL)
        sent = len(shop.mailbox.sent) + 1
        await shop.mailbox.until(lambda sent=sent: len(shop.mailbox.sent) >= sent)  # type: ignore[misc]

    told = [fields for event, fields in shop.journal.lines if event == "job_unreadable"]

    assert [fields["job"] for fields in told] == [job_id]
    assert "secret" not in repr(told)
