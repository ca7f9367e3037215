"""The wait for a client that sends or reads nothing is bounded."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from answerback.testing.service import HOST
from bounded_http import PATIENCE, App, Impatient, rest, serving

REQUEST, END = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n", b"the end\r\n0\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n"


async def test_a_head_that_stays_incomplete_is_answered_with_408_and_closed() -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n")

        answer = await rest(reader)

        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code":"request_timeout"' in answer
        writer.close()


async def test_a_body_that_stays_incomplete_is_answered_with_408_and_closed() -> None:
    app = App()
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(HEAD + b"half")

        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")
        await asyncio.wait_for(app.gone.wait(), PATIENCE)
        writer.close()


async def test_a_request_that_trickles_in_is_bounded_as_a_whole() -> None:
    class Patienter(Impatient):
        """Of its pauses alone a busy machine makes none too long."""

        patience = 1.0

    async with serving(App(), http=Patienter) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        answer = b""
        while not answer:
            writer.write(b"a")
            try:
                answer = await asyncio.wait_for(reader.read(1000), 0.05)
            except TimeoutError:
                continue

        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_long_stream_is_not_cut_by_the_incomplete_request_behind_it() -> None:
    async with serving(App(streams=0.9)) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n" + b"GET /next HTTP/1.1\r\nho")

        whole = await asyncio.wait_for(reader.readuntil(b"the end\r\n0\r\n\r\n"), PATIENCE)

        assert b" 408 " not in whole
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_connection_without_a_request_is_closed_as_an_idle_one() -> None:
    async with serving(App(), keep_alive=0) as port:
        reader, writer = await asyncio.open_connection(HOST, port)

        assert await rest(reader) == b""
        writer.close()


async def test_a_stop_answers_a_request_that_is_on_its_way_as_the_last_of_its_connection() -> None:
    # Given an idle connection, and a server that stops
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(App()))
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(REQUEST)
        await asyncio.wait_for(reader.readuntil(END), PATIENCE)
        stopping = asyncio.ensure_future(stack.aclose())
        await asyncio.wait_for(refused(port), PATIENCE)

        # When a request comes that was sent before the client could know
        writer.write(REQUEST)

        # Then it is answered, and nothing after it
        answer = await asyncio.wait_for(reader.readuntil(END), PATIENCE)
        assert b"connection: close" in answer.lower()
        assert await rest(reader) == b""
        await asyncio.wait_for(stopping, PATIENCE)
        writer.close()


async def test_a_stop_closes_a_connection_that_stays_idle() -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(App()))
        reader, writer = await asyncio.open_connection(HOST, port)

        await asyncio.wait_for(stack.aclose(), PATIENCE)

        assert await rest(reader) == b""
        writer.close()


async def refused(port: int) -> None:
    """Returns once nothing listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except ConnectionError:
            return
        writer.close()


async def test_a_client_that_does_not_read_its_stream_is_disconnected() -> None:
    app = App(streams=60.0, size=256 * 1024)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection(HOST, port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")

        await asyncio.wait_for(app.gone.wait(), PATIENCE)

        writer.close()


async def test_the_kernel_keeps_nothing_of_a_response_that_was_cut() -> None:
    app = App(streams=60.0, size=256 * 1024)
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection(HOST, port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        await asyncio.wait_for(app.gone.wait(), PATIENCE)

        # When the client reads after all
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()


async def test_a_client_that_closes_its_sending_side_has_hung_up() -> None:
    app = App(streams=60.0)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(REQUEST)
        writer.write_eof()

        await asyncio.wait_for(app.gone.wait(), PATIENCE)

        writer.close()
