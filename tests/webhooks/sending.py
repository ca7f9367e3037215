"""A sender in a world where every `.test` name is this host, and no other name exists; servers that say anything."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester
from answerback.webhooks.sending.sender import WebhookSender

DEADLINE = 0.4
NOW_MS = 1_750_000_000_000
BODY = '{"response": "grüß dich"}'.encode()


async def resolve(host: str, requester: Requester) -> list[str]:
    if not host.endswith(".test"):
        raise OSError("no such name")
    return ["127.0.0.1"]


@asynccontextmanager
async def sending(timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookSender]:
    sender = WebhookSender(AddressGuard(allow_loopback=True, resolve=resolve), lambda: NOW_MS, timeout, tls)
    try:
        yield sender
    finally:
        await sender.close()


@asynccontextmanager
async def answering(said: Iterable[bytes]) -> AsyncIterator[str]:
    """A server that answers each request with these bytes, as long as the client takes them; yields its URL."""
    tasks: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await reader.readuntil(b"\r\n\r\n")
                for piece in said:
                    writer.write(piece)
                    await writer.drain()
                await reader.read()
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
