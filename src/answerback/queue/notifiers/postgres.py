"""Notifications over PostgreSQL, between processes that share nothing but the database."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Any, Never

from answerback.database.postgres.connections import connect, connected, unavailable
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.queue.notifier import Topic
from answerback.queue.notifiers.remote import MEANWHILE, TransportUnavailable

CHANNEL = "answerback"
SEND_SECONDS = 5.0
PROOF_SECONDS = 5.0
"""How long a process waits for its notification to itself."""
PROOF_EVERY_SECONDS = 60.0
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 30.0
UNLISTEN_SECONDS = 1.0


def notify(payload: str) -> str:
    """The statement that sends `payload`, which may be lost in a crash: its commit does not wait for the disk.

    A transaction of its own, since from NOTIFY to the end of its commit no other transaction that notifies can commit.
    """
    return f"BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY {CHANNEL}, '{payload}'; COMMIT"


class PostgresTransport:
    """Implements `Transport` with a connection of its own, in an event loop that runs only while it sends.

    Every process that listens hears a notification, so one is sent for any number of rows.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._runner = asyncio.Runner()
        self._connection: Any | None = None

    def send(self, topic: Topic, rows: int) -> None:  # noqa: ARG002
        self._runner.run(self._send(topic))

    def close(self) -> None:
        self._disconnect()
        self._runner.close()

    async def _send(self, topic: Topic) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                self._connection = self._connection or await connect(self._dsn)
                await self._connection.execute(notify(topic.value))
        except Exception as error:
            self._disconnect()
            trouble = unavailable(error, self._dsn, closed=True)
            if trouble is None:
                raise
            raise TransportUnavailable(str(trouble)) from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class Unproven(Exception):
    """LISTEN succeeded, but the process's notification to itself did not arrive."""


class PostgresListener:
    """Implements `Listener`: calls `wake` for each notification of another process, over a connection of its own.

    Behind a pooler that hands each transaction another server connection, LISTEN succeeds and nothing ever arrives. So
    it is proven, at the start and every minute, by a notification that the process sends itself over a second
    connection. Until it is proven again, worker pools find due rows by polling.
    """

    def __init__(self, dsn: str, wake: Callable[[Topic], None], instruments: Instruments) -> None:
        self._dsn = dsn
        self._wake = wake
        self._log = instruments.log
        self._metrics = instruments.metrics
        self._task: asyncio.Task[None] | None = None
        self._proof = ""
        self._proof_came = asyncio.Event()
        self._listening = False
        self._failures = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen_forever())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except (StorageUnavailable, Unproven, TimeoutError) as error:
                self._failed(str(error) or "PostgreSQL does not answer in time")
            except Exception as error:  # noqa: BLE001 - after any error LISTEN must be tried again
                self._log.exception("listening_broke")
                self._failed(type(error).__name__)
            await asyncio.sleep(min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 8)))

    async def _listen(self) -> Never:
        """Raises StorageUnavailable, Unproven, TimeoutError."""
        async with connected(self._dsn) as connection:
            ended = asyncio.Event()
            connection.add_termination_listener(lambda _: ended.set())
            async with asyncio.timeout(PROOF_SECONDS):
                await connection.add_listener(CHANNEL, self._received)
            while not ended.is_set():
                await self._prove(connection)
                self._proven()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), PROOF_EVERY_SECONDS)
        raise StorageUnavailable("PostgreSQL closed the connection that listens")

    async def _prove(self, connection: Any) -> None:
        self._proof = secrets.token_hex(8)
        self._proof_came.clear()
        async with connected(self._dsn) as other:
            await other.execute(notify(self._proof), timeout=PROOF_SECONDS)
        try:
            await asyncio.wait_for(self._proof_came.wait(), PROOF_SECONDS)
        except TimeoutError:
            # In a pooler's server connection LISTEN would outlive this client, and reach others.
            with contextlib.suppress(Exception):
                await connection.execute("UNLISTEN *", timeout=UNLISTEN_SECONDS)
            raise Unproven("a notification to itself did not arrive; a pooler in transaction mode loses them") from None

    def _received(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        if payload == self._proof:
            self._proof_came.set()
            return
        # Any other payload is the proof of another process.
        with contextlib.suppress(ValueError):
            self._wake(Topic(payload))

    def _proven(self) -> None:
        self._failures = 0
        if not self._listening:
            self._listening = True
            self._log.info("notifications_awaited")
            # Rows may have become due while no notification arrived.
            for topic in Topic:
                self._wake(topic)

    def _failed(self, reason: str) -> None:
        self._metrics.listen_unproven()
        if self._listening or self._failures == 0:
            self._log.warning("listen_unproven", reason=reason, note=MEANWHILE)
        self._listening = False
        self._failures += 1
