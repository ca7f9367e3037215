"""What a scripted receiver can do to a callback: from a plain status to the habits of hostile servers."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

Behaviour: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""Answers one callback. The body has been read and recorded before."""

NOT_HTTP = b"this is not HTTP\r\n\r\n"
_STREAM_CHUNK = b"x" * 4096


def status(code: int, body: str = "", headers: dict[str, str] | None = None) -> Behaviour:
    """Answers with a status, and a body if wanted."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body, headers=headers)

    return answer


def gone() -> Behaviour:
    """410: the receiver wants no more callbacks at this address."""
    return status(410)


def retry_after(value: str | int, code: int = 503) -> Behaviour:
    """Sends `Retry-After`: seconds, or an HTTP date."""
    return status(code, headers={"Retry-After": str(value)})


def redirect(location: str, code: int = 307) -> Behaviour:
    """Sends the caller elsewhere."""
    return status(code, headers={"Location": location})


def delayed(until: asyncio.Event, then: Behaviour | None = None) -> Behaviour:
    """Answers when `until` is set, by default with 200. With an event that is never set it hangs."""
    behaviour = then or status(200)

    async def answer(request: web.Request) -> web.StreamResponse:
        await until.wait()
        return await behaviour(request)

    return answer


def drip(interval: float = 1.0, length: int = 10_000) -> Behaviour:
    """Answers 200 and sends its body a byte at a time, one every `interval` seconds."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(length)})
        await response.prepare(request)
        for _ in range(length):
            await response.write(b"x")
            await asyncio.sleep(interval)
        return response

    return answer


def endless() -> Behaviour:
    """Answers 200 with a body that never ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(_STREAM_CHUNK)

    return answer


def gzip_bomb(size: int = 64 * 1024 * 1024) -> Behaviour:
    """Answers 200 with a small gzip body that grows to `size` bytes of zeros. It is packed in advance."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    zeros = bytes(1024 * 1024)
    packed = b"".join(packer.compress(zeros) for _ in range(size // len(zeros))) + packer.flush()

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    return answer


def large_headers(size: int = 100_000) -> Behaviour:
    """Answers 200 with one header of `size` bytes."""
    return status(200, headers={"X-Large": "x" * size})


def hang_up() -> Behaviour:
    """Closes the connection without a response."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return aborted(request)

    return answer


def break_off() -> Behaviour:
    """Answers 200, sends half of the body it announced, and closes the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x" * 50)
        if request.transport is not None:
            request.transport.close()
        return response

    return answer


def babble(data: bytes = NOT_HTTP) -> Behaviour:
    """Sends these bytes in place of a response, and closes the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return garbled(request, data)

    return answer


def aborted(request: web.BaseRequest) -> web.Response:
    """The connection is closed without a response; what aiohttp makes of the one returned here reaches nobody."""
    if isinstance(request.transport, asyncio.WriteTransport):
        request.transport.abort()
    return web.Response()


def garbled(request: web.BaseRequest, data: bytes) -> web.Response:
    """As `aborted`, after these bytes."""
    if isinstance(request.transport, asyncio.WriteTransport):
        request.transport.write(data)
        request.transport.close()
    return web.Response()
