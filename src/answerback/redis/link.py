"""The connection to Redis: commands that wait share a round trip, and an outage delays no command but the first."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from answerback.kernel.current_request import no_request
from answerback.kernel.log import Log
from answerback.kernel.telemetry import Metrics

REPLY_SECONDS = 0.25
"""Redis counts as away when it has not replied within this time."""
GRACE_SECONDS = 0.05
"""Added to that, for a reply that arrived in time while the event loop was busy."""
RECONNECT_SECONDS = 1.0
"""Between probes of a Redis that is away."""
PROBE_SECONDS = 5.0
"""Between probes of one that answers, so that a process which rarely needs it reports an outage, too."""
MAX_PIPELINE = 500
"""Commands that share a round trip at most."""

Command: TypeAlias = Sequence[str | bytes | int]

# A write, since a full Redis and a replica still answer PING.
PROBE: Command = ("EVAL", "return redis.call('SET', KEYS[1], '', 'PX', 1000)", 1, "answerback:probe")


class Away(Exception):
    """Redis does not answer, or answers with an error; the caller goes on without it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command, and the future that gets its reply."""

    command: Command
    reply: asyncio.Future[Any]


class Link:
    """Sends commands over one connection. While Redis is away, commands fail at once and a task probes for its return;
    log and metrics show when an outage begins and ends."""

    def __init__(self, url: str, log: Log, metrics: Metrics) -> None:
        # Timeouts are in `_exchange`: the client's own would take a busy event loop for an outage.
        self._client = Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=None
        )
        self._place = _place(self._client)
        self._log = log
        self._metrics = metrics
        self._up = True
        self._waiting: list[Waiting] = []
        self._sending: asyncio.Task[None] | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Probes from now on, so that an operator soon sees that Redis is away."""
        self._metrics.redis(up=True)
        self._probing = asyncio.create_task(self._probe_forever())

    async def close(self) -> None:
        for task in (self._probing, self._sending, self._reconnecting):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        await self._client.aclose()

    async def call(self, *command: str | bytes | int) -> Any:
        """The reply. Raises Away: after `REPLY_SECONDS`, or at once while Redis is known to be away."""
        if not self._up:
            raise Away
        waiting = Waiting(command, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), context=no_request())
        return await waiting.reply

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_PIPELINE], self._waiting[MAX_PIPELINE:]
            try:
                replies = await self._exchange([waiting.command for waiting in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, every waiting command must end
                self._lost(error)
                batch, self._waiting = batch + self._waiting, []
                replies = [error] * len(batch)
            for waiting, reply in zip(batch, replies, strict=True):
                self._settle(waiting, reply)

    def _settle(self, waiting: Waiting, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._lost(reply)
            reply = Away()
        if waiting.reply.done():  # its caller was cancelled
            return
        if isinstance(reply, Away):
            waiting.reply.set_exception(reply)
        else:
            waiting.reply.set_result(reply)

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, those that are errors included. Raises RedisError, OSError, and what the client raises."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            exchange = asyncio.ensure_future(pipeline.execute(raise_on_error=False))
            # Its exception is read even if this task is cancelled, or asyncio would log it as never retrieved.
            exchange.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            try:
                for seconds in (REPLY_SECONDS, GRACE_SECONDS):
                    done, _ = await asyncio.wait({exchange}, timeout=seconds)
                    if done:
                        return exchange.result()
            finally:
                if not exchange.done():
                    exchange.cancel()
                    # The client drops the connection: a late reply would be taken for that of a later command.
                    await asyncio.wait({exchange})
        raise TimeoutError

    def _lost(self, error: Exception) -> None:
        if not self._up:
            return
        self._up = False
        self._metrics.redis(up=False)
        note = "rates count in each process, and windows come from the database, until it is back"
        self._log.warning("redis_away", at=self._place, error=type(error).__name__, note=note)
        self._reconnecting = asyncio.create_task(self._reconnect(), context=no_request())

    async def _probe_forever(self) -> None:
        while True:
            with contextlib.suppress(Away):
                await self.call(*PROBE)
            await asyncio.sleep(PROBE_SECONDS)

    async def _reconnect(self) -> None:
        while not await self._is_back():  # noqa: ASYNC110 (Redis sets no event)
            await asyncio.sleep(RECONNECT_SECONDS)
        self._up = True
        self._metrics.redis(up=True)
        self._log.info("redis_back")

    async def _is_back(self) -> bool:
        try:
            (reply,) = await self._exchange([PROBE])
        except Exception:  # noqa: BLE001 - whatever it is, another probe must follow
            return False
        return not isinstance(reply, Exception)


def _place(client: Redis) -> str:
    """The server's host and port, or its socket's path."""
    known = client.connection_pool.connection_kwargs
    return str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")
