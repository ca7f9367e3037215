"""A process's end of the link to its supervisor, and through it to its siblings."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

from answerback.kernel.log import Log
from answerback.kernel.rate import Rate, Standing
from answerback.observability.summing import Figures
from answerback.siblings.messages import Decoder, Message, encode

PAUSE_SECONDS = 0.02
"""The least time between two notifications of one topic: under load one stands for all since the last."""


class Gone(Exception):
    """The supervisor has ended; this process stops, too."""


class Link(asyncio.Protocol):
    """Sends and receives in the event loop that `connect` was called in.

    `on_wake` is called with a topic when rows of it may be due that another process has no room for, `on_cancelled`
    with the id of a job that was cancelled there, `on_gone` when the supervisor has ended. `figures` are this process's
    counts.
    """

    def __init__(self, end: socket.socket, log: Log) -> None:
        self._end = end
        self._log = log
        self._transport: asyncio.WriteTransport | None = None
        self._decoder = Decoder()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._tickets = 0
        self._resting: set[str] = set()
        self._put_off: set[str] = set()
        self.on_wake: Callable[[str], None] = _ignore
        self.on_cancelled: Callable[[str], None] = _ignore
        self.on_gone: Callable[[], None] = _ignore
        self.figures: Callable[[], Figures] = list

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=self._end)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def ready(self) -> None:
        """This process answers requests."""
        self._send("ready")

    def wake(self, topic: str) -> None:
        """Lets siblings look for due rows of the topic."""
        if topic in self._resting:
            self._put_off.add(topic)
            return
        self._resting.add(topic)
        self._send("wake", topic)
        asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._rested, topic)

    def job_cancelled(self, job_id: str) -> None:
        """Lets a sibling that runs the job stop."""
        self._send("cancelled", job_id)

    async def hit(self, caller: str, rate: Rate, count: int) -> Standing:
        """Counts requests for all processes. Raises Gone."""
        admitted, remaining, seconds = await self._ask("hit", caller, rate.amount, rate.seconds, count)
        return Standing(admitted, remaining, seconds)

    async def others(self, own: Figures) -> Sequence[Figures]:
        """The figures of all others, also of those that have ended. `own` are what this process is about to show.
        Raises Gone."""
        figures: Sequence[Figures] = await self._ask("sum", own)
        return figures

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            self._received(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Gone())
        self.on_gone()

    def _received(self, message: Message) -> None:
        match message:
            case ["answer", int(ticket), *values]:
                future = self._asked.pop(ticket, None)
                if future is not None and not future.done():
                    future.set_result(values)
            case ["wake", str(topic)]:
                self.on_wake(topic)
            case ["cancelled", str(job_id)]:
                self.on_cancelled(job_id)
            case ["report"]:
                self._send("figures", self.figures())
            case _:
                self._log.error("unknown_message_of_supervisor", name=str(message[:1]))

    async def _ask(self, name: str, *values: object) -> Any:
        if self._transport is None:
            raise Gone
        self._tickets += 1
        ticket, future = self._tickets, asyncio.get_running_loop().create_future()
        self._asked[ticket] = future
        self._send(name, ticket, *values)
        try:
            return await future
        finally:
            self._asked.pop(ticket, None)

    def _rested(self, topic: str) -> None:
        self._resting.discard(topic)
        if topic in self._put_off:
            self._put_off.discard(topic)
            self.wake(topic)

    def _send(self, name: str, *values: object) -> None:
        if self._transport is not None:
            self._transport.write(encode(name, *values))


def _ignore(*_: object) -> None:
    """Nobody asked to hear of it."""
