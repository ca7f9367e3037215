"""Readers that all have something at once share the turns of the event loop."""

import asyncio
import socket

from answerback.http.client.connection import SMALL_TURN_BYTES, TURN_BYTES, Connection
from answerback.http.client.slices import READS_A_TURN, ReaderSlices


async def turn() -> None:
    await asyncio.sleep(0)


async def test_few_readers_go_on_at_once() -> None:
    slices = ReaderSlices()
    readers = [asyncio.get_running_loop().create_future() for _ in range(READS_A_TURN)]

    for each in readers:
        slices.wake(each)

    assert all(each.done() for each in readers)


async def test_many_go_on_in_order_some_in_each_turn() -> None:
    # Given thousands of readers
    slices = ReaderSlices()
    readers = [asyncio.get_running_loop().create_future() for _ in range(10 * READS_A_TURN)]

    # When all have something to read
    for each in readers:
        slices.wake(each)

    # Then no turn has more than its share
    for number in range(1, 11):
        assert [each.done() for each in readers] == [at < number * READS_A_TURN for at in range(len(readers))]
        await turn()


async def test_readers_that_have_gone_take_no_turn() -> None:
    slices = ReaderSlices()
    readers = [asyncio.get_running_loop().create_future() for _ in range(10 * READS_A_TURN)]
    for each in readers:
        slices.wake(each)
    for each in readers[READS_A_TURN:-1]:
        each.cancel()

    await turn()

    assert readers[-1].done()


async def test_readers_that_never_pause_leave_turns_to_others() -> None:
    # Given streams that always find something waiting
    slices, read = ReaderSlices(), list[int]()

    async def stream(name: int) -> None:
        for _ in range(3):
            await slices.turn()
            read.append(name)

    streams = [asyncio.ensure_future(stream(each)) for each in range(4 * READS_A_TURN)]

    # When the event loop turns, then only some of them read, and at the end each has
    most, before = 0, 0
    while not all(each.done() for each in streams):
        await turn()
        most, before = max(most, len(read) - before), len(read)
    assert most <= 2 * READS_A_TURN
    assert sorted(read) == sorted(list(range(4 * READS_A_TURN)) * 3)


class Transport(asyncio.Transport):
    """Of a server that has sent all there is."""

    def __init__(self) -> None:
        super().__init__({"socket": socket.socket()})
        self.reads = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return False

    def writelines(self, list_of_data: object) -> None: ...

    def abort(self) -> None:
        self.get_extra_info("socket").close()


def brought(connection: Connection, data: bytes) -> int:
    """How much of `data` the connection takes in one turn of the event loop."""
    buffer = connection.get_buffer(-1)
    taken = min(len(buffer), len(data))
    buffer[:taken] = data[:taken]
    connection.buffer_updated(taken)
    return taken


async def test_of_tiny_chunks_a_turn_takes_fewer_bytes_until_they_are_larger() -> None:
    # Given a response of which the head has come
    transport = Transport()
    into, slices = memoryview(bytearray(TURN_BYTES)), ReaderSlices()
    connection = Connection(
        lambda _: None, lambda _: None, into, buffer_bytes=1 << 20, framing_bytes=1 << 20, slices=slices, allowance=None
    )
    connection.connection_made(transport)
    exchange = asyncio.ensure_future(connection.exchange((b"GET",), float("inf")))
    await turn()
    brought(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await exchange

    # When chunks of one byte come, and then one that is large
    tiny, large = b"1\r\nx\r\n" * TURN_BYTES, b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    taken = [brought(connection, tiny)]
    taken.append(brought(connection, tiny[taken[0] % 6 :]))
    rest = sum(taken) % 6
    brought(connection, tiny[rest:6])
    later = [brought(connection, large), brought(connection, large[SMALL_TURN_BYTES:])]

    # Then the event loop is held as little by the ones as by the other
    assert taken == [TURN_BYTES, SMALL_TURN_BYTES]
    assert later == [SMALL_TURN_BYTES, TURN_BYTES]
    connection.abort()
