"""How connections are accepted."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from answerback.http.descriptors import leaves_reserve, lowered

ACCEPTED_AT_ONCE = 32
"""In one turn of the event loop. uvloop accepts one, so that a client would wait for as many turns full of work as
others came before it; all that wait would be a turn full of work themselves."""
SHORTAGE_SECONDS = 1.0
"""How long none is accepted where the system had no descriptor or memory for one."""
ROOM_SECONDS = 0.05
"""The same where others make room. Their descriptors are free after a few turns of the event loop."""


class Listener:
    """Accepts what comes to `sockets`, which the caller closes; `protocol` makes the protocol of each connection.
    Where descriptors are short, `make_room` ends connections that can be spared, and returns whether there were such.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sockets = sockets
        self._protocol = protocol
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._connecting = set[asyncio.Task[None]]()
        self._listening = True
        for each in sockets:
            each.settimeout(0)
            self._listen(each)

    async def end(self) -> None:
        """Accepts what the kernel had connected already, and no more: with the sockets that listen it would reset
        those. Returns once they are connections."""
        if not self._listening:
            return
        self._listening = False
        for each in self._sockets:
            self._loop.remove_reader(each)
            while (accepted := self._accepted(each)) is not None:
                self._connect(accepted)
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _listen(self, listening: socket.socket) -> None:
        if self._listening:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            accepted = self._accepted(listening)
            if accepted is None:
                return
            self._connect(accepted)

    def _accepted(self, listening: socket.socket) -> socket.socket | None:
        """The connection that has waited longest; None if there is none."""
        while True:
            try:
                return listening.accept()[0]
            except (BlockingIOError, InterruptedError):
                return None
            except ConnectionError:
                continue  # It has gone while it waited.
            except OSError:
                self._loop.remove_reader(listening)
                seconds = ROOM_SECONDS if self._make_room() else SHORTAGE_SECONDS
                self._loop.call_later(seconds, self._listen, listening)
                return None

    def _connect(self, accepted: socket.socket) -> None:
        task = self._loop.create_task(self._connected(accepted))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connected(self, accepted: socket.socket) -> None:
        if not leaves_reserve(accepted.fileno()):
            self._make_room()
            await asyncio.sleep(ROOM_SECONDS)
            accepted = lowered(accepted)
        try:
            await self._loop.connect_accepted_socket(self._protocol, accepted)
        except OSError:
            accepted.close()
