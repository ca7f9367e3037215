"""The whole way of a job inside one process, with a stand-in for the LLM and for the receivers."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from shop import Mailbox, Shop, SlowEcho

from answerback.jobs import engine as engines
from answerback.jobs import sweep as sweeps
from answerback.jobs.kind import JobState, Registry
from answerback.queue.notifier import Topic
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.outcome import CallbackResponse
from builders import TENANT, URL, RealClock, accept, claim_jobs, finish
from databases import Database
from stores import Stores


class HalfDead(Mailbox):
    """Receives at the usual URL; elsewhere, connections are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        if url != URL:
            self.refused += 1
            raise SendError("connection refused")
        return await super().send(tenant_id, url, headers, body)


@pytest.fixture
async def stores(database: Database) -> AsyncIterator[Stores]:
    """On real time."""
    opened = await database.open(RealClock(), kinds=Registry([SlowEcho()]))
    yield opened
    await opened.close()


async def test_every_conversation_is_answered_and_called_back_in_order(shop: Shop) -> None:
    shop.engine.start()
    for n in range(10):
        await asyncio.gather(*(shop.submit(f"s{c}/m{n}", session=f"s{c}") for c in range(50)))

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 500)

    received, ran = defaultdict(list), defaultdict(list)
    for body in shop.mailbox.bodies:
        session, text = body["echo"].split("/")
        received[session].append(text)
    for each in shop.kind.texts:
        session, text = each.split("/")
        ran[session].append(text)
    in_order = {f"s{c}": [f"m{n}" for n in range(10)] for c in range(50)}
    assert received == ran == in_order
    assert await shop.stores.jobs.count_open() == 0


async def test_what_was_waiting_before_the_start_is_found(shop: Shop) -> None:
    for n in range(5):
        await accept(shop.stores, f"m{n}", f"s{n}")

    shop.engine.start()

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 5)


async def test_a_conversation_that_waits_does_not_hold_the_others(shop: Shop) -> None:
    shop.kind.let_go.clear()
    shop.engine.start()
    for session in ("a", "b"):
        for text in ("first", "second"):
            await shop.submit(f"{session}-{text}", session)
    while len(shop.kind.texts) < 2:
        shop.kind.asked.clear()
        await asyncio.wait_for(shop.kind.asked.wait(), 20)

    assert set(shop.kind.texts) == {"a-first", "b-first"}


async def test_cancelling_a_running_job_stops_the_call_and_releases_the_next(shop: Shop) -> None:
    shop.kind.let_go.clear()
    shop.engine.start()
    first = await shop.submit("first")
    await shop.submit("second")
    await asyncio.wait_for(shop.kind.asked.wait(), 20)

    await shop.canceller.cancel(TENANT, first.job_id)
    shop.kind.let_go.set()
    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 2)

    assert [body["status"] for body in shop.mailbox.bodies] == ["cancelled", "completed"]
    assert "stale_result_discarded" not in shop.journal.events


async def test_callbacks_owed_to_a_dead_receiver_wait_without_being_claimed(stores: Stores, database: Database) -> None:
    """And hold up none behind them."""
    await asyncio.gather(*(accept(stores, session=None, callback_url="https://dead.example/") for _ in range(500)))
    await accept(stores, "the living", None)
    await asyncio.gather(*(finish(stores, claim) for claim in await claim_jobs(stores, limit=501)))
    mailbox = HalfDead()
    shop = Shop(stores, concurrency=20, origins=CircuitBreakers(RealClock().monotonic), mailbox=mailbox)

    shop.engine.start()
    await mailbox.until(lambda: len(mailbox.sent) == 1)
    await shop.engine.stop()

    ((claims, waiting),) = await database.rows(
        f"SELECT sum(lease_epoch), count(*) FROM deliveries WHERE url != '{URL}' AND state = 'pending'"
    )
    assert waiting == 500
    assert 1 <= mailbox.refused <= claims < 100


async def test_stopping_gives_attempts_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "GRACE_SECONDS", 0.0)
    shop.kind.let_go.clear()
    shop.engine.start()
    assert shop.engine.healthy
    job_id = (await shop.submit()).job_id
    await asyncio.wait_for(shop.kind.asked.wait(), 20)

    await shop.engine.stop()

    record = await shop.stores.jobs.get(TENANT, job_id)
    assert (record.state, record.attempt, record.lease_losses) == (JobState.QUEUED, 0, 0)
    assert [each.status for each in record.attempts] == ["released"]
    assert not shop.engine.healthy


async def test_an_answer_on_its_way_is_let_in_when_stopping(shop: Shop) -> None:
    shop.kind.let_go.clear()
    shop.engine.start()
    job_id = (await shop.submit()).job_id
    await asyncio.wait_for(shop.kind.asked.wait(), 20)

    stopping = asyncio.create_task(shop.engine.stop())
    await asyncio.sleep(0)
    shop.kind.let_go.set()
    await stopping

    assert (await shop.stores.jobs.get(TENANT, job_id)).state is JobState.COMPLETED
    assert len(shop.mailbox.sent) == 1


async def test_a_sweep_that_breaks_is_logged_and_made_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "SWEEP_SECONDS", 0.001)
    sweep = shop.sweep.sweep
    again = asyncio.Event()
    times = 0

    async def breaking() -> int:
        nonlocal times
        times += 1
        if times == 1:
            raise ZeroDivisionError
        again.set()
        return await sweep()

    monkeypatch.setattr(shop.sweep, "sweep", breaking)
    shop.engine.start()

    await asyncio.wait_for(again.wait(), 20)

    assert shop.journal.events[0] == "sweep_broke"
    assert shop.engine.healthy


async def test_an_engine_whose_loop_ends_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def collapsing() -> int:
        raise ZeroDivisionError

    def also_collapsing(event: str, /, **fields: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shop.sweep, "sweep", collapsing)
    monkeypatch.setattr(shop.journal, "exception", also_collapsing)
    broke = asyncio.Event()

    shop.engine.start(broke.set)

    await asyncio.wait_for(broke.wait(), 20)
    assert not shop.engine.healthy
    assert "engine_loop_broke" in shop.journal.events


async def test_a_job_of_another_version_is_logged_at_each_claim_without_its_text(
    shop: Shop, database: Database
) -> None:
    job_id = (await accept(shop.stores, "hello")).job_id
    await database.execute("UPDATE jobs SET args = '{\"secret\": 1}'")
    shop.engine.start()
    await shop.journal.seen("job_unreadable")
    await database.execute(f"UPDATE jobs SET run_at = 0 WHERE id = '{job_id}'")
    shop.notifier.wake(Topic.JOBS)
    await shop.journal.seen("job_unreadable", times=2)
    await shop.engine.stop()

    lines = [fields for event, fields in shop.journal.lines if event == "job_unreadable"]

    ((claims,),) = await database.rows(f"SELECT lease_epoch FROM jobs WHERE id = '{job_id}'")
    assert claims > 1
    assert [fields["job"] for fields in lines] == [job_id] * claims
    assert "secret" not in repr(lines)
