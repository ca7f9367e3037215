"""Connections that all speak at once share the turns of the event loop: between them everything else goes on."""

import asyncio
import socket
from collections import Counter
from contextlib import ExitStack

import pytest

from answerback.http.server.turns import CHUNKS_OF_A_READ, FIRST_TURN_BYTES, READS_A_TURN
from answerback.testing.service import HOST
from bounded_http import PATIENCE, Headers, Patient, serving

CONNECTIONS = 4 * READS_A_TURN
GET = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
PROBE = b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self.now += 1
        self._loop.call_soon(self._next)


class Watched(Patient):
    """Counts reads and chunks in each turn; `probed` is the turn in which a probe was read."""

    turns: Turns
    probed = 0
    reads: Counter[int]
    pieces: Counter[int]

    def data_received(self, data: bytes) -> None:
        self.reads[self.turns.now] += 1
        if data == PROBE:
            type(self).probed = self.turns.now
        super().data_received(data)

    def on_body(self, body: bytes) -> None:
        self.pieces[self.turns.now] += 1
        super().on_body(body)


async def answers(http: type[Watched], first: bytes, then: bytes, *, last: bytes = b"") -> list[bytes]:
    """What clients read that are connected, have sent the first part, and send the rest in the same moment; behind them
    there may be one that sends something else."""
    loop = asyncio.get_running_loop()
    async with serving(Headers(), http=http) as port:
        with ExitStack() as clients:
            connected = []
            for _ in range(CONNECTIONS):
                client = clients.enter_context(socket.create_connection((HOST, port), timeout=PATIENCE))
                client.settimeout(0)
                await loop.sock_sendall(client, first)
                connected.append(client)
            await asyncio.sleep(0.05)
            http.turns = Turns()
            for client in connected:
                client.send(then)
            if last:
                connected.append(clients.enter_context(socket.create_connection((HOST, port), timeout=PATIENCE)))
                connected[-1].send(last)
                connected[-1].settimeout(0)
            async with asyncio.timeout(PATIENCE):
                return [await loop.sock_recv(client, 65_536) for client in connected]


@pytest.fixture
def watched() -> type[Watched]:
    made = type("Fresh", (Watched,), {"reads": Counter(), "pieces": Counter()})
    made.turns = Turns.__new__(Turns)
    made.turns.now = 0
    return made


async def test_few_connections_are_read_in_a_turn_and_all_in_the_end(watched: type[Watched]) -> None:
    # When many clients send a request at once
    answered = await answers(watched, GET[:20], GET[20:])

    # Then all are answered, and no turn has all of them
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answered)
    del watched.reads[0]
    assert max(watched.reads.values()) <= READS_A_TURN


async def test_a_probe_waits_behind_nobody(watched: type[Watched]) -> None:
    # When one asks behind many clients whether the process lives
    answered = await answers(watched, GET[:20], GET[20:], last=PROBE)

    # Then others are read after it
    assert answered[-1].startswith(b"HTTP/1.1 200")
    assert 0 < watched.probed < max(watched.reads)


async def test_tiny_chunks_count_for_more(watched: type[Watched]) -> None:
    chunks = FIRST_TURN_BYTES // 6
    # When many clients send a body in chunks of one byte
    answered = await answers(watched, CHUNKED, b"1\r\nx\r\n" * chunks + b"0\r\n\r\n")

    # Then a turn has no more of them than a read may bring beyond its share
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answered)
    assert watched.pieces.total() == CONNECTIONS * chunks
    assert max(watched.pieces.values()) <= READS_A_TURN * CHUNKS_OF_A_READ + chunks
