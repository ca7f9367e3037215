"""Responses that wait for their readers: what all of them may hold."""

from collections import Counter
from typing import Protocol

MAX_UNREAD_BYTES = 256 * 1024 * 1024
STREAM_BYTES = 512 * 1024
"""What a response holds besides what waits to be written: a stream has read on from its upstream. It is about half."""


class Connection(Protocol):
    def abort(self) -> None: ...


class UnreadResponses:
    """Where they hold too much, the client (an address) that holds most loses the one that has waited longest."""

    def __init__(self, limit: int = MAX_UNREAD_BYTES) -> None:
        self._limit = limit
        self._waiting: dict[Connection, tuple[str, int]] = {}
        self._of_client: Counter[str] = Counter()

    def waits(self, connection: Connection, client: str, unsent: int) -> None:
        """The client takes nothing more of `unsent` bytes; may abort this connection, or others."""
        self.goes_on(connection)
        size = STREAM_BYTES + unsent
        self._waiting[connection] = client, size
        self._of_client[client] += size
        while self._of_client.total() > self._limit:
            self._cut()

    def goes_on(self, connection: Connection) -> None:
        """The client reads on, or has gone."""
        client, size = self._waiting.pop(connection, ("", 0))
        self._of_client[client] -= size
        if not self._of_client[client]:
            del self._of_client[client]

    def _cut(self) -> None:
        largest = max(self._of_client, key=self._of_client.__getitem__)
        connection = next(each for each, (client, _) in self._waiting.items() if client == largest)
        self.goes_on(connection)
        connection.abort()
