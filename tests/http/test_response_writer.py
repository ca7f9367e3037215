"""What is written of a response in one turn of the event loop leaves at its end, in one write."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from answerback.http.server.flow import HIGH_WATER_BYTES, ResponseWriter
from answerback.testing.service import HOST
from bounded_http import PATIENCE, rest, serving

REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


class Transport:
    """Remembers each write of a connection, and whether it was closed behind them."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def writer_to(transport: Transport) -> ResponseWriter:
    return ResponseWriter(cast(asyncio.Transport, transport), asyncio.get_running_loop())


async def test_what_is_written_in_a_turn_leaves_at_its_end_in_one_write() -> None:
    transport = Transport()
    writes = writer_to(transport)

    for data in (b"head", b"body"):
        writes.write(data)
    before = list(transport.writes)
    await asyncio.sleep(0)
    writes.write(b"more")
    await asyncio.sleep(0)

    assert (before, transport.writes) == ([], [b"headbody", b"more"])


async def test_what_is_large_leaves_at_once_behind_what_was_held() -> None:
    transport, large = Transport(), b"x" * (HIGH_WATER_BYTES + 1)
    writes = writer_to(transport)

    writes.write(b"head")
    writes.write(large)

    assert transport.writes == [b"head" + large]
    await asyncio.sleep(0)
    assert transport.writes == [b"head" + large]


async def test_a_head_leaves_before_its_connection_closes() -> None:
    transport = Transport()
    writes = writer_to(transport)

    writes.write(b"head")
    writes.close()

    assert (transport.writes, transport.closed) == ([b"head"], True)


async def test_a_head_for_a_client_that_is_gone_is_dropped() -> None:
    transport = Transport()
    writes = writer_to(transport)

    writes.write(b"head")
    transport.close()
    await asyncio.sleep(0)

    assert transport.writes == []


class Late:
    """Sends a head, and the body when `goes_on` is set."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    async def __call__(self, _: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await self.goes_on.wait()
        await send({"type": "http.response.body", "body": b"late"})


async def test_a_client_has_the_head_before_a_late_body() -> None:
    app = Late()
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(REQUEST)

        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        app.goes_on.set()

        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"late" in await rest(reader)
        writer.close()
