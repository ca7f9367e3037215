"""The way to Redis: what is asked at once travels together, and an outage is paid for once, not by everyone."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from answerback.kernel.log import Log
from answerback.kernel.telemetry import Metrics

PATIENCE = 0.25
"""Seconds until Redis is taken to be away."""
GRACE = 0.05
"""Seconds more for a reply that came in time to a process that was busy elsewhere."""
LOOK = 1.0
"""Seconds between looks for a Redis that is away."""
CHECK = 5.0
"""Seconds between looks at one that is there, so that also a process which rarely needs it tells of an outage."""
PLAN = 500
"""Commands that travel at once at most."""

Command: TypeAlias = Sequence[str | bytes | int]

# Writes, as a Redis that has no room, or is a replica, still answers a PING.
PROBE: Command = ("EVAL", "return redis.call('SET', KEYS[1], '', 'PX', 1000)", 1, "answerback:probe")


class Away(Exception):
    """Redis does not answer, or not as it should; the work goes on without it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command and where its reply is waited for."""

    command: Command
    reply: asyncio.Future[Any]


class Link:
    """Sends commands over one connection, those that wait in one round trip. While Redis is away nobody waits for it:
    a task looks for it now and then. The log and the metrics hear of both ends of an outage."""

    def __init__(self, url: str, log: Log, metrics: Metrics) -> None:
        # How long, and how often, is decided here: the client's own timeouts would take a busy process for an outage.
        self._client = Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=None
        )
        self._place = _place(self._client)
        self._log = log
        self._metrics = metrics
        self._up = True
        self._waiting: list[Waiting] = []
        self._sending: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Has a look now and again, so that an operator hears soon of a Redis that is not there."""
        self._metrics.redis(up=True)
        self._checking = asyncio.create_task(self._check_forever())

    async def close(self) -> None:
        for task in (self._checking, self._sending, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        await self._client.aclose()

    async def call(self, *command: str | bytes | int) -> Any:
        """The reply. Raises Away: after `PATIENCE` at the latest, at once while it is known to be."""
        if not self._up:
            raise Away
        waiting = Waiting(command, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        return await waiting.reply

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:PLAN], self._waiting[PLAN:]
            try:
                replies = await self._exchange([waiting.command for waiting in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                self._lost(error)
                batch, self._waiting = batch + self._waiting, []
                replies = [error] * len(batch)
            for waiting, reply in zip(batch, replies, strict=True):
                self._settle(waiting, reply)

    def _settle(self, waiting: Waiting, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._lost(reply)
            reply = Away()
        if waiting.reply.done():  # whoever asked has gone
            return
        if isinstance(reply, Away):
            waiting.reply.set_exception(reply)
        else:
            waiting.reply.set_result(reply)

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Their replies, errors of single ones among them. Raises RedisError, OSError, and what the client raises."""
        async with self._client.pipeline(transaction=False) as together:
            for command in commands:
                together.execute_command(*command)
            asking = asyncio.ensure_future(together.execute(raise_on_error=False))
            # Looked at even when nobody waits for it any more.
            asking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            try:
                for seconds in (PATIENCE, GRACE):
                    done, _ = await asyncio.wait({asking}, timeout=seconds)
                    if done:
                        return asking.result()
            finally:
                if not asking.done():
                    asking.cancel()
                    # The client drops the connection: a late reply would be taken for another's.
                    await asyncio.wait({asking})
        raise TimeoutError

    def _lost(self, error: Exception) -> None:
        if not self._up:
            return
        self._up = False
        self._metrics.redis(up=False)
        note = "rates count in each process, and windows come from the database, until it is back"
        self._log.warning("redis_away", at=self._place, error=type(error).__name__, note=note)
        self._looking = asyncio.create_task(self._look())

    async def _check_forever(self) -> None:
        while True:
            with contextlib.suppress(Away):
                await self.call(*PROBE)
            await asyncio.sleep(CHECK)

    async def _look(self) -> None:
        while not await self._is_back():  # noqa: ASYNC110 (what is waited for sets no event)
            await asyncio.sleep(LOOK)
        self._up = True
        self._metrics.redis(up=True)
        self._log.info("redis_back")

    async def _is_back(self) -> bool:
        try:
            (reply,) = await self._exchange([PROBE])
        except Exception:  # noqa: BLE001 - whatever it is, another look must follow
            return False
        return not isinstance(reply, Exception)


def _place(client: Redis) -> str:
    """Which server it is: a host and port, or a socket's path."""
    known = client.connection_pool.connection_kwargs
    return str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")
