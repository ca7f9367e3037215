"""Opens connections: name to addresses, address to socket, TLS."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from aiohappyeyeballs import start_connection
from aiohappyeyeballs.types import AddrInfoType

from answerback.http.client.connection import Connection
from answerback.http.client.errors import ConnectFailed, ConnectTimeout
from answerback.http.client.tls import READ_BYTES, Tls
from answerback.http.descriptors import outgoing_socket

NEXT_ADDRESS_SECONDS = 0.25
"""How long an address is tried alone before the next one is tried beside it (RFC 8305)."""

Resolve: TypeAlias = Callable[[str, int, asyncio.Timeout], Awaitable[Sequence[str]]]
"""The addresses of a host, zones kept (`fe80::1%2`); each may be connected to at the port. A wait may put the
deadline off, which is the whole request's. Raises NameNotFound, and whatever forbids a connection."""


class Origin(NamedTuple):
    tls: bool
    host: str
    port: int


class Dialer:
    """`seconds` covers name, connection and TLS; None: the caller's deadline does. `tls` replaces the system's
    trust."""

    def __init__(self, seconds: float | None, tls: ssl.SSLContext | None) -> None:
        self._seconds = seconds
        self._tls = tls
        self._into = memoryview(bytearray(READ_BYTES))

    async def connect(
        self, origin: Origin, resolve: Resolve, deadline: asyncio.Timeout, make: Callable[[], Connection]
    ) -> Connection:
        """Raises NameNotFound, ConnectFailed, ConnectTimeout, and what `resolve` forbids with."""
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await self._connect(origin, await resolve(origin.host, origin.port, deadline), make)
        except TimeoutError:
            if limit.expired():
                raise ConnectTimeout(f"not connected within {self._seconds} s") from None
            raise ConnectFailed("the network gave up") from None

    async def _connect(self, origin: Origin, addresses: Sequence[str], make: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            infos = [_address_info(address, origin.port) for address in addresses]
            connected = await start_connection(
                infos, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, loop=loop, socket_factory=outgoing_socket
            )
            if origin.tls:
                return await self._encrypted(origin, connected, make())
            _, connection = await loop.create_connection(make, sock=connected)
        except TimeoutError:
            raise
        except (OSError, RuntimeError) as error:  # uvloop raises both
            raise ConnectFailed("the connection failed") from error
        return connection

    async def _encrypted(self, origin: Origin, connected: socket.socket, connection: Connection) -> Connection:
        """Raises OSError, TooMuchFraming."""
        tls = Tls(connection, self._tls or _trust(), origin.host.rstrip("."), self._into)
        try:
            await asyncio.get_running_loop().create_connection(lambda: tls, sock=connected)
            await tls.handshake
        except BaseException:
            tls.handshake.cancel()
            tls.abort()
            raise
        return connection


@cache
def _trust() -> ssl.SSLContext:
    """The system's, read once: that takes 20 ms."""
    trust = ssl.create_default_context()
    # A handshake costs a thousand times as much as the message that asks for it.
    trust.options |= ssl.OP_NO_RENEGOTIATION
    return trust


def _address_info(address: str, port: int) -> AddrInfoType:
    bare, _, zone = address.partition("%")
    if ip_address(bare).version == 4:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (bare, port)
    scope = 0 if not zone else int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (bare, port, 0, scope)
