"""A supervisor's end of the link to one of its processes."""

import selectors
import socket
from collections.abc import Iterator

from answerback.siblings.messages import Decoder, Message

READ_BYTES = 65_536
WAITING_BYTES = 1 << 20
"""How much may wait for a process that does not read; what comes beyond that is lost."""


class Channel:
    """Nothing here blocks. What is to be sent waits for `flush`, so that answers leave together. The selector's key has
    the channel as its data."""

    def __init__(self, end: socket.socket, selector: selectors.BaseSelector) -> None:
        end.settimeout(0)
        self._end = end
        self._selector = selector
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._awaits_room = False
        self.open = True
        selector.register(end, selectors.EVENT_READ, self)

    def send(self, data: bytes) -> None:
        if len(self._unsent) <= WAITING_BYTES:
            self._unsent += data

    def flush(self) -> None:
        """Sends what waits, as far as the process takes it."""
        if not self.open or not self._unsent:
            return
        try:
            del self._unsent[: self._end.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            # The process has ended, which `receive` shows.
            self._unsent.clear()
        self._await_room(bool(self._unsent))

    def _await_room(self, awaited: bool) -> None:
        # A system call, which most messages need not make.
        if awaited != self._awaits_room:
            self._awaits_room = awaited
            self._selector.modify(self._end, selectors.EVENT_READ | (selectors.EVENT_WRITE if awaited else 0), self)

    def receive(self) -> Iterator[Message]:
        """What has come; `open` is false once the process has closed its end."""
        try:
            data = self._end.recv(READ_BYTES) if self.open else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            yield from self._decoder.feed(data)
        else:
            self.close()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._selector.unregister(self._end)
            self._end.close()

    def drop(self) -> None:
        """Closes this process's copy only, in a process that was forked: the selector is its parent's."""
        self._end.close()
