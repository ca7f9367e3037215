"""Responses that wait for their readers: what all of them may hold."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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


class Connection(Protocol):
    def abort(self) -> None: ...

    def unsent(self) -> int:
        """How many bytes wait to be written."""


@dataclass(slots=True)
class _Response:
    client: str
    copies: int
    held: int
    unsent: int
    since: float
    """Since when its client has taken nothing, as far as was looked."""


class _Waiting:
    """Those of one sort, in the order in which they began to wait."""

    def __init__(self) -> None:
        self.responses: dict[Connection, _Response] = {}
        self._of_client: Counter[str] = Counter()

    @property
    def held(self) -> int:
        return self._of_client.total()

    def add(self, connection: Connection, response: _Response) -> None:
        self.responses[connection] = response
        self._of_client[response.client] += response.held

    def remove(self, connection: Connection) -> None:
        if (response := self.responses.pop(connection, None)) is None:
            return
        self._of_client[response.client] -= response.held
        if not self._of_client[response.client]:
            del self._of_client[response.client]

    def look(self, now: float) -> None:
        """Finds out what clients have taken since the last look."""
        for connection, response in self.responses.items():
            if (taken := response.unsent - connection.unsent()) > 0:
                response.unsent -= taken
                response.held -= taken * response.copies
                response.since = now
                self._of_client[response.client] -= taken * response.copies

    def cut(self, still_since: float) -> bool:
        """Ends the one that has waited longest of the client that holds most, among those of whom nothing was taken
        since then; false if there is none."""
        still = [each for each in self.responses.items() if each[1].since <= still_since]
        if not still:
            return False
        connection, _ = max(still, key=lambda each: self._of_client[each[1].client])
        self.remove(connection)
        connection.abort()
        return True


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
        self._streams = _Waiting()
        self._large = _Waiting()

    def waits(self, connection: Connection, client: str, unsent: int, *, streams: bool) -> None:
        """The client takes nothing more of `unsent` bytes for now; may abort this connection, or others."""
        self.goes_on(connection)
        now, copies = self._monotonic(), STREAM_COPIES if streams else 1
        response = _Response(client, copies, STREAM_BYTES + unsent * copies, unsent, now)
        if unsent <= LARGE_BYTES:
            self._streams.add(connection, response)
            while self._streams.held > self._limit:
                self._streams.cut(now)
            return
        self._large.add(connection, response)
        if self._large.held > self._limit:
            self._large.look(now)
        while self._large.held > self._limit and self._large.cut(now - STILL_SECONDS):
            continue
        while self._large.held > self._large_limit:
            self._large.cut(now)

    def goes_on(self, connection: Connection) -> None:
        """The client reads on, or has gone."""
        self._streams.remove(connection)
        self._large.remove(connection)
