"""Connections are accepted many at a time, and none that the kernel has made is lost."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest

from answerback.http.server import listener
from answerback.http.server.listener import ACCEPTED_AT_ONCE, Listener
from answerback.testing.service import HOST

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there asyncio accepts many by itself")

TURNS = 8
"""Of the event loop, from a connection that waits to one that is made."""


class Greeting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


class Scarce(socket.socket):
    """Finds no descriptor, once."""

    short = True

    def accept(self) -> tuple[socket.socket, object]:
        if self.short:
            self.short = False
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@pytest.fixture(params=[socket.socket])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with request.param() as made:
        made.bind((HOST, 0))
        made.listen(ACCEPTED_AT_ONCE)
        yield made


Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(listening: socket.socket) -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(listening.getsockname(), 10))


@pytest.fixture
async def accepting(listening: socket.socket) -> AsyncIterator[Listener]:
    made = Listener([listening], Greeting)
    yield made
    await made.end()


async def test_all_that_wait_are_accepted_within_a_few_turns(connect: Connect, accepting: Listener) -> None:
    clients = [connect() for _ in range(ACCEPTED_AT_ONCE)]

    for _ in range(TURNS):
        await asyncio.sleep(0)

    for each in clients:
        each.settimeout(0)
    assert [each.recv(5) for each in clients] == [b"hello"] * len(clients)


async def test_what_the_kernel_has_made_is_accepted_at_the_end(connect: Connect, accepting: Listener) -> None:
    # Given more than one turn accepts
    clients = [connect() for _ in range(ACCEPTED_AT_ONCE + 1)]

    await accepting.end()

    assert [each.recv(5) for each in clients] == [b"hello"] * len(clients)


@pytest.mark.parametrize("listening", [Scarce], indirect=True)
async def test_after_a_shortage_it_goes_on(
    listening: Scarce, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SHORTAGE_SECONDS", 0.01)
    accepting = Listener([listening], Greeting)
    client = connect()

    reader, writer = await asyncio.open_connection(sock=client)
    assert await asyncio.wait_for(reader.readexactly(5), 10) == b"hello"

    assert not listening.short
    writer.close()
    await accepting.end()
