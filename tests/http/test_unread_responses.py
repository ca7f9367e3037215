"""What is held for clients that do not read is bounded, for all of them; most is taken from who holds most."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

from answerback.http.server.unread import STILL_SECONDS, STREAM_BYTES, STREAM_COPIES, UnreadResponses
from answerback.http.sse import sse_response
from answerback.testing.clock import FakeClock
from answerback.testing.service import HOST
from bounded_http import PATIENCE, App, Patient, serving

ELSEWHERE = "127.0.0.2"


class Connection:
    def __init__(self, unsent: int = 0) -> None:
        self.aborted = False
        self.left = unsent

    def unsent(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True


def waiting(
    unread: UnreadResponses, client: str, number: int, unsent: int = 0, *, streams: bool = False
) -> list[Connection]:
    connections = [Connection(unsent) for _ in range(number)]
    for each in connections:
        unread.waits(each, client, unsent, streams=streams)
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


def test_what_waits_of_a_stream_counts_as_often_as_it_is_held() -> None:
    event = 64 * 1024
    unread = UnreadResponses(3 * (STREAM_BYTES + STREAM_COPIES * event))

    streams = waiting(unread, "a", 4, event, streams=True)

    assert aborted(streams) == [True, False, False, False]


WHOLE = 7 * STREAM_BYTES
"""What waits of a whole response; it counts as eight streams."""


def test_whole_responses_that_are_read_all_come_whole(clock: FakeClock) -> None:
    # Given room for two whole responses, and six clients that take a byte now and then
    unread = UnreadResponses(16 * STREAM_BYTES, monotonic=clock.monotonic)
    readers = waiting(unread, "a", 6, WHOLE)

    # When one more comes after each of some long pauses
    for _ in range(3):
        clock.advance(STILL_SECONDS)
        for each in readers:
            each.left -= 1
        readers += waiting(unread, "a", 1, WHOLE)

    # Then all of them go on
    assert not any(aborted(readers))


def test_whole_responses_that_nobody_takes_make_room_after_a_while(clock: FakeClock) -> None:
    unread = UnreadResponses(24 * STREAM_BYTES, monotonic=clock.monotonic)
    silent = waiting(unread, "a", 3, WHOLE)
    (reader,) = waiting(unread, "a", 1, WHOLE)
    assert not any(aborted([*silent, reader]))

    clock.advance(STILL_SECONDS)
    reader.left -= 1
    (late,) = waiting(unread, "a", 1, WHOLE)

    assert aborted([*silent, reader, late]) == [True, True, False, False, False]


def test_whole_responses_never_hold_more_than_their_limit(clock: FakeClock) -> None:
    unread = UnreadResponses(8 * STREAM_BYTES, 24 * STREAM_BYTES, clock.monotonic)

    at_once = waiting(unread, "a", 5, WHOLE)

    assert aborted(at_once) == [True, True, False, False, False]


def test_what_was_taken_of_them_is_not_held(clock: FakeClock) -> None:
    unread = UnreadResponses(8 * STREAM_BYTES, 24 * STREAM_BYTES, clock.monotonic)
    readers = waiting(unread, "a", 3, WHOLE)
    for each in readers:
        each.left -= 4 * STREAM_BYTES

    more = waiting(unread, "a", 1, WHOLE)

    assert not any(aborted([*readers, *more]))


def test_whole_responses_cost_no_stream(clock: FakeClock) -> None:
    unread = UnreadResponses(4 * STREAM_BYTES, monotonic=clock.monotonic)
    streams = waiting(unread, "a", 4)

    whole = waiting(unread, "a", 4, WHOLE)

    assert not any(aborted([*streams, *whole]))


def test_one_that_reads_on_holds_nothing_and_begins_anew() -> None:
    unread = UnreadResponses(2 * STREAM_BYTES)
    first, second = waiting(unread, "a", 2)
    unread.goes_on(first)
    unread.waits(first, "a", 0, streams=True)

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
        unread = UnreadResponses(2 * (STREAM_BYTES + STREAM_COPIES * 256 * 1024))

    app = App(streams=60.0, size=256 * 1024)
    async with serving(app, http=Full) as port, AsyncExitStack() as stack:
        slow = await unread_stream(stack, port, ELSEWHERE)
        for _ in range(16):
            await unread_stream(stack, port, HOST)

        await asyncio.wait_for(app.gone.wait(), PATIENCE)
        # Then the other's goes on, past all that waited for it.
        await asyncio.wait_for(slow.readexactly(16 * 256 * 1024), PATIENCE)


async def test_what_a_stream_keeps_of_what_it_sent_counts_too() -> None:
    class Full(Patient):
        unread = UnreadResponses(16 * 1024 * 1024)

    gone = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 256 * 1024
        finally:
            gone.set()

    async def keeping(scope: Any, receive: Any, send: Any) -> None:
        await sse_response(pieces(), held=lambda: 10 * 1024 * 1024)(scope, receive, send)

    async with serving(keeping, http=Full) as port, AsyncExitStack() as stack:
        for _ in range(2):
            await unread_stream(stack, port, HOST)
        await asyncio.wait_for(gone.wait(), PATIENCE)


LARGE = 2 * 1024 * 1024


async def large(_: Any, receive: Any, send: Any) -> None:
    """Answers as embeddings are: all at once."""
    await receive()
    length = (b"content-length", b"%d" % LARGE)
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"x" * LARGE})


async def test_a_burst_of_large_responses_comes_whole(clock: FakeClock) -> None:
    # Given a service where three of them are much, and clients of which one is far behind the others
    class Small(Patient):
        unread = UnreadResponses(8 * 1024 * 1024, monotonic=clock.monotonic)

    async with serving(large, http=Small) as port, AsyncExitStack() as stack:
        clients = [await unread_stream(stack, port, HOST) for _ in range(10)]
        heads = await asyncio.gather(*(each.readuntil(b"\r\n\r\n") for each in clients))

        # When they read
        bodies = [await asyncio.wait_for(each.readexactly(LARGE), PATIENCE) for each in clients]

    # Then each gets all of its own
    assert len(heads) == len(bodies) == 10
