"""Responses that wait for their readers: what all of them may hold."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from answerback.http.holders import Held, Holder, Holders

MAX_UNREAD_BYTES = 256 * 1024 * 1024
"""Of streams; and of large responses, where clients take nothing of them."""
MAX_LARGE_BYTES = 1024 * 1024 * 1024
"""Of large responses, though all their clients read: some thirty embeddings of the largest size."""
STREAM_BYTES = 128 * 1024
"""What a response holds besides what waits to be written: a stream has read on from its upstream. It is about half."""
STREAM_COPIES = 3
"""How many times a stream holds what waits to be written: as it came, as text, as it is sent."""
LARGE_BYTES = 512 * 1024
"""A response of which more waits to be written is a large one: mostly a whole one, which has its end in memory."""
STILL_SECONDS = 5.0
"""A client that has taken nothing for so long does not read. One that decodes megabytes pauses for less."""


class Connection(Holder, Protocol):
    def unsent(self) -> int:
        """How many bytes wait to be written."""


@dataclass(slots=True)
class _Response(Held):
    """One of which `unsent` bytes waited when it was last looked at, each held `copies` times."""

    copies: int
    unsent: int


class UnreadResponses:
    """Where they hold too much, the client (an address) that holds most loses the one that has waited longest: streams
    at once, large responses only if nothing is taken of them, as long as all fit in `large_limit`."""

    def __init__(
        self,
        limit: int = MAX_UNREAD_BYTES,
        large_limit: int = MAX_LARGE_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._large_limit = large_limit
        self._monotonic = monotonic
        self._streams: Holders[Connection, _Response] = Holders()
        self._large: Holders[Connection, _Response] = Holders()

    def waits(self, connection: Connection, client: str, unsent: int, *, streams: bool, held: int = 0) -> None:
        """The client takes nothing more of `unsent` bytes for now, behind `held` that were sent and are in memory; may
        abort this connection, or others."""
        self.goes_on(connection)
        now, copies = self._monotonic(), STREAM_COPIES if streams else 1
        response = _Response(client, STREAM_BYTES + held + unsent * copies, now, copies, unsent)
        if unsent <= LARGE_BYTES:
            self._streams.add(connection, response)
            while self._streams.size > self._limit:
                self._streams.cut(now)
            return
        self._large.add(connection, response)
        if self._large.size > self._limit:
            self._look(now)
        while self._large.size > self._limit and self._large.cut(now - STILL_SECONDS):
            continue
        while self._large.size > self._large_limit:
            self._large.cut(now)

    def _look(self, now: float) -> None:
        """Finds out what clients have taken of large responses since the last look."""
        for connection, response in self._large:
            if (taken := response.unsent - connection.unsent()) > 0:
                response.unsent -= taken
                self._large.move(response, -taken * response.copies, now)

    def goes_on(self, connection: Connection) -> None:
        """The client reads on, or has gone."""
        self._streams.remove(connection)
        self._large.remove(connection)
