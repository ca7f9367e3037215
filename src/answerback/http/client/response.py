"""A response whose body still comes."""

import asyncio
from typing import Protocol

from multidict import CIMultiDict

from answerback.http.client.errors import HttpError
from answerback.http.client.slices import ReaderSlices


class Exchange(Protocol):
    """The connection that brings the response."""

    def resume(self) -> None:
        """The reader has taken what had come."""

    def abort(self) -> None:
        """Closes without waiting for anything to be sent."""


class Response:
    """A response whose head has come; its body comes as it is read. To be closed."""

    def __init__(
        self, connection: "Exchange", status: int, headers: CIMultiDict[str], buffer_bytes: int, slices: ReaderSlices
    ) -> None:
        self._buffer_bytes = buffer_bytes
        self.status = status
        self.headers = headers
        self._connection: Exchange | None = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._full = False
        self._error: HttpError | None = None
        self._overdue = False
        self._slices = slices
        self._create_future = asyncio.get_running_loop().create_future
        self._reader: asyncio.Future[None] | None = None
        self._at_once = False
        """Whether the last read found something waiting."""

    async def read_some(self, limit: int | None = None) -> bytes:
        """What has come of the body, at least a byte and at most `limit`; none at its end. Raises HttpError, and
        TimeoutError where it would wait at the exchange's deadline or later. Cancelling loses nothing. Of reads that
        all find something waiting each lets the event loop turn first."""
        if self._parts and self._at_once:
            await self._slices.turn()
        self._at_once = bool(self._parts)
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._connection is None:
                return b""
            if self._overdue:
                raise TimeoutError
            self._reader = self._create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        rest = b"" if limit is None else content[limit:]
        self._parts, self._size = [rest] if rest else [], len(rest)
        if self._full and self._connection is not None and self._size <= self._buffer_bytes:
            self._full = False
            self._connection.resume()
        return content[:limit]

    @property
    def complete(self) -> bool:
        """Whether nothing more will come: a read does not wait."""
        return self._connection is None

    def interrupt(self) -> None:
        """Ends a read that waits, and each that would wait later, by TimeoutError."""
        self._overdue = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_exception(TimeoutError())

    def close(self) -> None:
        """Ends the exchange. Of a body that has not ended the rest may be endless: the connection goes, too."""
        if self._connection is not None:
            self._connection.abort()

    def brought(self, content: bytes) -> bool:
        """Keeps content for the reader; whether the server should wait."""
        self._parts.append(content)
        self._size += len(content)
        self._wake()
        self._full = self._size > self._buffer_bytes
        return self._full

    def ended(self, error: HttpError | None) -> None:
        """Nothing more will come."""
        self._connection = None
        self._error = error
        self._wake()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            self._slices.wake(reader)
