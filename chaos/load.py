"""Bounded load: as fast as it is answered, or at a pace."""

import asyncio
import time
from collections.abc import Callable

from chaos.client import Client
from chaos.inbox import Inbox
from chaos.rate import Pace

Text = Callable[[int], str]


def plain(number: int) -> str:
    return f"message {number}"


async def closed_loop(
    client: Client, inbox: Inbox, total: int, conversations: int, window: int, text: Text = plain
) -> None:
    """Sends `total` messages, `window` of them unanswered at most, each conversation's one after the other."""
    room = asyncio.Semaphore(window)
    inbox.on_first = room.release

    async def converse(conversation: int) -> None:
        for number in range(conversation, total, conversations):
            await room.acquire()
            await client.send(text(number), f"c{conversation}")

    async with asyncio.TaskGroup() as group:
        for conversation in range(conversations):
            group.create_task(converse(conversation))


class Paced:
    """`pace.rate` messages a second over `conversations`, while the context lasts, whether they are answered or
    not; leaving waits for their 202s."""

    def __init__(self, client: Client, pace: Pace, conversations: int, text: Text = plain) -> None:
        self._client = client
        self._pace = pace
        self._conversations = conversations
        self._text = text
        self._group = asyncio.TaskGroup()
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        await self._group.__aenter__()
        self._sending = self._group.create_task(self._send_forever())

    async def __aexit__(self, *raised: object) -> None:
        if self._sending is not None:
            self._sending.cancel()
        await self._group.__aexit__(*raised)  # type: ignore[arg-type]

    async def _send_forever(self) -> None:
        began, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, began + number / self._pace.rate - time.monotonic()))
            session = f"c{number % self._conversations}"
            self._group.create_task(self._send(number, session))
            number += 1

    async def _send(self, number: int, session: str) -> None:
        await self._client.send(self._text(number), session)
