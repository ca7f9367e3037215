"""A stream holds one large piece for a client, not the next one beside it, and none while nothing comes."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

from answerback.http.server.flow import HIGH_WATER_BYTES
from answerback.http.sse import text_response


class Piece(bytearray):
    """One that says whether it is held."""


class Stream:
    """A response of two pieces of a size, and a connection whose client takes what was sent once `taken` is set."""

    def __init__(self, size: int) -> None:
        self.made: list[weakref.ref[Piece]] = []
        self.sent: list[int] = []
        self.behind = asyncio.Event()
        self.waits = asyncio.Event()
        self.taken = asyncio.Event()
        self._size = size
        self.response = asyncio.ensure_future(text_response(self._pieces())({}, self._receive, self._send))

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        for _ in range(2):
            yield self._piece()
        self.waits.set()
        await asyncio.Event().wait()

    def _piece(self) -> Any:
        piece = Piece(self._size)
        self.made.append(weakref.ref(piece))
        return piece

    async def _receive(self) -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        """As uvicorn's: what is sent behind a piece that was not taken waits until it is."""
        if sum(self.sent) > HIGH_WATER_BYTES:
            self.behind.set()
            await self.taken.wait()
        self.sent.append(len(message.get("body", b"")))

    async def close(self) -> None:
        self.response.cancel()
        await asyncio.wait([self.response])

    @property
    def held(self) -> int:
        return sum(each() is not None for each in self.made)


async def test_after_a_large_piece_none_is_made_until_the_client_has_taken_it() -> None:
    stream = Stream(HIGH_WATER_BYTES + 1)

    await stream.behind.wait()

    assert (len(stream.made), stream.held) == (1, 0)
    stream.taken.set()
    await stream.waits.wait()
    assert len(stream.made) == 2
    await stream.close()


async def test_small_pieces_are_sent_as_they_come_and_not_held() -> None:
    stream = Stream(100)

    await stream.waits.wait()

    assert (stream.sent, stream.held) == ([0, 100, 100], 0)
    await stream.close()
