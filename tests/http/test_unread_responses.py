"""What is held for clients that do not read is bounded, for all of them; most is taken from who holds most."""

import asyncio
import socket
from contextlib import AsyncExitStack

from answerback.http.unread import STREAM_BYTES, UnreadResponses
from answerback.testing.service import HOST
from bounded_http import PATIENCE, App, Patient, serving

ELSEWHERE = "127.0.0.2"


class Connection:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def waiting(unread: UnreadResponses, client: str, number: int, unsent: int = 0) -> list[Connection]:
    connections = [Connection() for _ in range(number)]
    for each in connections:
        unread.waits(each, client, unsent)
    return connections


def aborted(connections: list[Connection]) -> list[bool]:
    return [each.aborted for each in connections]


def test_the_one_that_has_waited_longest_is_cut() -> None:
    unread = UnreadResponses(3 * STREAM_BYTES)

    connections = waiting(unread, "a", 5)

    assert aborted(connections) == [True, True, False, False, False]


def test_the_client_with_most_loses() -> None:
    unread = UnreadResponses(4 * STREAM_BYTES)
    few = waiting(unread, "few", 1)

    many = waiting(unread, "many", 100)

    assert aborted(few) == [False]
    assert sum(aborted(many)) == 97


def test_bytes_count() -> None:
    unread = UnreadResponses(4 * STREAM_BYTES)
    small = waiting(unread, "a", 2)

    (large,) = waiting(unread, "b", 1, unsent=3 * STREAM_BYTES)

    assert (aborted(small), large.aborted) == ([False, False], True)


def test_one_that_reads_on_holds_nothing_and_begins_anew() -> None:
    unread = UnreadResponses(2 * STREAM_BYTES)
    first, second = waiting(unread, "a", 2)
    unread.goes_on(first)
    unread.waits(first, "a", 0)

    (third,) = waiting(unread, "a", 1)

    assert (first.aborted, second.aborted) == (False, True)
    for each in (first, second, third, first):
        unread.goes_on(each)
    assert aborted(waiting(unread, "b", 2)) == [False, False]


async def unread_stream(stack: AsyncExitStack, port: int, address: str) -> asyncio.StreamReader:
    """Of a client that reads nothing by itself."""
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind((address, 0))
    connection.connect((HOST, port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
    stack.callback(lambda: writer.transport.abort())
    writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
    return reader


async def test_streams_that_are_not_read_end_and_a_slow_readers_does_not() -> None:
    class Full(Patient):
        unread = UnreadResponses(4 * STREAM_BYTES)

    app = App(streams=60.0, size=256 * 1024)
    async with serving(app, http=Full) as port, AsyncExitStack() as stack:
        slow = await unread_stream(stack, port, ELSEWHERE)
        for _ in range(8):
            await unread_stream(stack, port, HOST)

        await asyncio.wait_for(app.gone.wait(), PATIENCE)
        # Then the other's goes on, past all that waited for it.
        await asyncio.wait_for(slow.readexactly(16 * 256 * 1024), PATIENCE)
