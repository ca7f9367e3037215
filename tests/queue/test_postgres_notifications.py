"""LISTEN and NOTIFY between two ends on a real server: prompt, few, proven, and found again after an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import median

import asyncpg
import pytest
from exposed import counted

from answerback.kernel.instruments import Instruments
from answerback.observability.metrics import PrometheusMetrics
from answerback.queue.notifier import Topic
from answerback.queue.notifiers import postgres
from answerback.queue.notifiers.postgres import CHANNEL, PostgresListener, PostgresTransport
from answerback.queue.notifiers.remote import PAUSE_SECONDS, RemoteNotifier
from answerback.testing.backends import BackendUnavailable, PostgresServer
from answerback.testing.backends.pgbouncer import PgBouncer
from builders import Journal
from link import Link
from servers import missing, private

pytestmark = pytest.mark.starts_processes

AWAITED = "notifications_awaited"
UNPROVEN = "listen_unproven"
DROPPED = "answerback_notifications_dropped_total"
UNPROVEN_COUNTER = "answerback_listen_unproven_total"
PATIENCE = 20.0


class Lines(Journal):
    """Lets a test wait until a line has been logged a number of times."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Condition()
        self._loop = asyncio.get_running_loop()

    def info(self, event: str, /, **fields: object) -> None:
        super().info(event, **fields)
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._announce()))

    warning = error = exception = info

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def logged(self, event: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.events.count(event) >= times)


class Counters(PrometheusMetrics):
    """Lets a test wait for counts."""

    def __init__(self) -> None:
        super().__init__()
        self._unproven = asyncio.Semaphore(0)

    def listen_unproven(self) -> None:
        super().listen_unproven()
        self._unproven.release()

    async def until_unproven(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            for _ in range(times):
                await self._unproven.acquire()


class Process:
    """One end: what a process that works hears, and a notifier as a process that serves has it."""

    def __init__(self, url: str) -> None:
        self.lines = Lines()
        self.metrics = Counters()
        instruments = Instruments(self.lines, metrics=self.metrics)
        self.heard: asyncio.Queue[Topic] = asyncio.Queue()
        self.listener = PostgresListener(url, self.heard.put_nowait, instruments)
        self.notifier = RemoteNotifier(PostgresTransport(url), instruments)

    async def next(self) -> Topic:
        return await asyncio.wait_for(self.heard.get(), PATIENCE)

    async def first_topics(self) -> set[Topic]:
        """What a listener wakes by itself once it is proven."""
        return {await self.next(), await self.next()}


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Process]:
    process = Process(url)
    process.listener.start()
    try:
        yield process
    finally:
        await process.listener.close()


@asynccontextmanager
async def notifying(url: str) -> AsyncIterator[Process]:
    process = Process(url)
    process.notifier.start()
    try:
        yield process
    finally:
        await asyncio.to_thread(process.notifier.close)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[Process, Process]]:
    """A process that listens, and one that notifies; what they hear and send as they start is over."""
    async with listening(url) as worker:
        await worker.first_topics()
        async with notifying(url) as server:
            assert await worker.next() is Topic.JOBS
            yield worker, server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs come often and are given up soon."""
    monkeypatch.setattr(postgres, "PROOF_SECONDS", 0.2)
    monkeypatch.setattr(postgres, "PROOF_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(postgres, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(postgres, "LONGEST_RETRY_SECONDS", 0.05)


async def test_a_notification_wakes_another_process_within_100_ms(postgres_url: str) -> None:
    async with connected(postgres_url) as (worker, server):
        seconds = []
        for topic in [Topic.JOBS, Topic.DELIVERIES] * 5:
            began = time.monotonic()
            server.notifier.wake(topic)
            assert await worker.next() is topic
            seconds.append(time.monotonic() - began)

    # Half of them: beside other tests any one may wait for the processor.
    assert median(seconds) < 0.1


async def test_at_most_one_notification_per_topic_and_20_ms_is_sent(postgres_url: str) -> None:
    async with connected(postgres_url) as (worker, server):
        began = time.monotonic()
        for _ in range(100):
            for _ in range(100):
                server.notifier.wake(Topic.JOBS)
            await asyncio.sleep(0)
        server.notifier.wake(Topic.DELIVERIES)
        heard = []
        while Topic.DELIVERIES not in heard:
            heard.append(await worker.next())
        rounds = (time.monotonic() - began) / PAUSE_SECONDS

    assert 1 <= heard.count(Topic.JOBS) <= rounds + 2


async def test_a_server_that_was_killed_is_found_again(impatient: None) -> None:
    with private(PostgresServer) as server:
        async with listening(server.url) as worker, notifying(server.url) as sender:
            await worker.lines.logged(AWAITED)

            await asyncio.to_thread(server.kill)
            await worker.lines.logged(UNPROVEN)
            sender.notifier.wake(Topic.DELIVERIES)
            await sender.lines.logged("notifier_unavailable")
            assert counted(sender.metrics, DROPPED) >= 1

            await asyncio.to_thread(server.restart)
            await worker.lines.logged(AWAITED, 2)
            sender.notifier.wake(Topic.DELIVERIES)
            await sender.lines.logged("notifier_available")
            while not worker.heard.empty():
                worker.heard.get_nowait()

            sender.notifier.wake(Topic.JOBS)
            while await worker.next() is not Topic.JOBS:
                pass

        assert worker.lines.events == [AWAITED, UNPROVEN, AWAITED]
        assert sender.lines.events == ["notifier_unavailable", "notifier_available"]


async def test_a_process_that_listens_again_looks_for_rows_that_became_due_meanwhile(
    impatient: None, postgres_url: str
) -> None:
    async with listening(postgres_url) as worker:
        assert await worker.first_topics() == set(Topic)

        await end_connections(postgres_url)

        assert await worker.first_topics() == set(Topic)


async def test_a_connection_that_falls_silent_fails_its_proof_and_is_replaced(
    impatient: None, postgres_url: str
) -> None:
    async with Link(postgres_url) as link, listening(link.url) as worker:
        await worker.lines.logged(AWAITED)

        link.freeze()
        link.thaw()

        await worker.lines.logged(AWAITED, 2)
        assert worker.lines.events == [AWAITED, UNPROVEN, AWAITED]
        assert counted(worker.metrics, UNPROVEN_COUNTER) >= 1


async def test_a_notification_that_does_not_come_back_leaves_a_process_to_its_polling(
    impatient: None, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setattr(postgres, "notify", lambda payload: "SELECT 1")
    async with listening(postgres_url) as worker:
        await worker.metrics.until_unproven(3)

    assert worker.lines.events == [UNPROVEN]
    assert counted(worker.metrics, UNPROVEN_COUNTER) >= 3
    assert worker.heard.empty()


@pytest.fixture
def pooled_url(postgres_server: str, postgres_url: str) -> Iterator[str]:
    """The database by way of PgBouncer in transaction mode."""
    try:
        pooler = PgBouncer.in_front_of(postgres_server)
    except BackendUnavailable as error:
        missing(error)
    with pooler:
        yield pooler.through(postgres_url)


async def test_behind_a_pooler_in_transaction_mode_one_line_says_that_workers_poll(
    impatient: None, pooled_url: str
) -> None:
    async with listening(pooled_url) as worker:
        await worker.metrics.until_unproven(3)

    ((event, fields),) = worker.lines.lines
    assert event == UNPROVEN
    assert "pooler" in str(fields["reason"])
    assert "polling" in str(fields["note"])
    connection = await asyncpg.connect(pooled_url, statement_cache_size=0)
    try:
        assert await connection.fetch("SELECT pg_listening_channels()") == []
    finally:
        await connection.close()


async def test_a_payload_of_another_program_wakes_nothing(postgres_url: str) -> None:
    async with connected(postgres_url) as (worker, _):
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute(f"NOTIFY {CHANNEL}, 'unknown'; NOTIFY {CHANNEL}, 'deliveries'")
        finally:
            await connection.close()

        assert await worker.next() is Topic.DELIVERIES


async def end_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
    finally:
        await connection.close()
