"""A TCP path that can go silent: packets are dropped in both directions, without a reset.

The sockets in the middle get a filter that drops every packet before TCP sees it (`SO_ATTACH_FILTER`, socket(7),
Linux): no data, no acknowledgement, no answer to a keepalive comes from them any more. It needs no privilege.
"""

import asyncio
import contextlib
import ctypes
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from answerback.testing.service import HOST

SO_ATTACH_FILTER = 26
CHUNK = 65_536
ESTABLISHED = "01"
# One instruction of classic BPF: return 0, the number of bytes of the packet to keep.
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_PROGRAM = struct.pack("HL", 1, ctypes.addressof(_DROP_ALL))


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    """`near` is the caller's side, `caller` its port."""

    near: socket.socket
    far: socket.socket
    caller: int

    def close(self) -> None:
        self.near.close()
        self.far.close()


class Link:
    """Listens on a port of its own and carries bytes to `port` of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server((HOST, 0), backlog=512)
        self._listening.settimeout(0)
        self.port: int = self._listening.getsockname()[1]
        self._accepting: asyncio.Task[None] | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._silenced: set[int] = set()

    async def __aenter__(self) -> Self:
        self._accepting = asyncio.create_task(self._accept_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._carrying, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()
        for connection in self._connections:
            connection.close()

    def silence(self) -> int:
        """Drops all packets of the present connections, unnoticed; new ones work. Returns how many are silenced."""
        for task in self._carrying:
            task.cancel()
        for connection in self._connections:
            for side in (connection.near, connection.far):
                side.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM)
        self._silenced = {each.caller for each in self._connections}
        return len(self._silenced)

    @property
    def held(self) -> int:
        """How many of the silenced connections are still open on their callers' side."""
        return len(self._silenced & _established_to(self.port))

    async def _accept_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, address = await loop.sock_accept(self._listening)
            far = socket.socket()
            for side in (near, far):
                side.settimeout(0)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(near, far, address[1])
            self._connections.add(connection)
            task = asyncio.create_task(self._carry(connection))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, connection: _Connection) -> None:
        """Until one side closes. Cancelled, it leaves both sockets open: that is what a silent path looks like."""
        near, far = connection.near, connection.far
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_connect(far, (HOST, self._target))
            pumps = [asyncio.create_task(_pump(*ways)) for ways in ((near, far), (far, near))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        self._connections.discard(connection)
        connection.close()


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, CHUNK):
            await loop.sock_sendall(sink, data)


def _established_to(port: int) -> set[int]:
    """The ports of this machine that are connected to this one, as far as their owners know (proc(5), net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    remote = f":{port:04X}"
    return {int(row[1].partition(":")[2], 16) for row in rows if row[2].endswith(remote) and row[3] == ESTABLISHED}
