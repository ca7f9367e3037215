"""What comes before a request's body is bounded."""

import asyncio

from answerback.testing.service import HOST, Service


async def test_a_header_without_end_is_refused_while_others_are_served() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: ")
        try:
            for _ in range(1_000):
                writer.write(b"a" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass
        answer = await _rest(reader)
        writer.close()

        assert not answer or answer.startswith(b"HTTP/1.1 431 ")
        assert await _get(service.port, b"x" * 1_000) == b"HTTP/1.1 200 OK"


async def test_headers_of_sane_size_pass_again_and_again_on_one_connection() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        for _ in range(20):
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 30_000 + b"\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


async def _get(port: int, value: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx: " + value + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.partition(b"\r\n")[0]
