"""A way to a server that can go silent: its connections stay open, and nothing travels in them any more."""

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class Link:
    """A TCP proxy to the server at `url`. Connections made after `thaw` work; those that were frozen never do again."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._frozen: set[asyncio.Task[None]] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connected = 0
        """How many connections were made."""

    @property
    def url(self) -> str:
        """The server's address by way of this link."""
        user, at, _ = self._to.netloc.rpartition("@")
        return self._to._replace(netloc=f"{user}{at}{HOST}:{self._port}").geturl()

    def freeze(self) -> None:
        """Bytes on their way and all later ones are lost, without a reset."""
        self._flowing.clear()
        for pump in self._pumps:
            pump.cancel()

    def thaw(self) -> None:
        """New connections work again."""
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.freeze()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        self._writers.add(writer)
        if not self._flowing.is_set():
            return
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
            self._writers.add(to_writer)
            for source, sink in ((reader, to_writer), (to_reader, writer)):
                pump = asyncio.create_task(_pump(source, sink))
                self._pumps.add(pump)
                pump.add_done_callback(self._pumps.discard)
            return
        writer.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
    except OSError:
        pass
    sink.close()
