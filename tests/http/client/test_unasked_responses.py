"""A response that nobody asked for is never taken for the answer to a request that comes later."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event

import pytest
import pytest_asyncio
from yarl import URL

from answerback.http.client.client import HttpClient, RequestHead
from answerback.http.client.names import SharedLookups

SECONDS = 20.0


class Server:
    """Answers in a thread of its own, each connection once; a second response goes out when the test says so, while the
    event loop stands still."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = URL(f"http://127.0.0.1:{self._listening.getsockname()[1]}/")
        self._go_on, self._sent = Event(), Event()

    def serve(self) -> None:
        with suppress(OSError):
            for number in range(2):
                connection, _ = self._listening.accept()
                with connection:
                    self._take(connection)
                    connection.sendall(said(b"answer %d" % number))
                    if number == 0:
                        self._go_on.wait(SECONDS)
                        connection.sendall(said(b"unasked"))
                        self._sent.set()
                    with suppress(ConnectionResetError):
                        connection.recv(1)

    def say_more(self) -> None:
        self._go_on.set()
        assert self._sent.wait(SECONDS)

    def close(self) -> None:
        self._go_on.set()
        self._listening.close()

    def _take(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1000)


def said(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(server.serve)
        try:
            yield server
        finally:
            server.close()


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(5.0, buffer_bytes=65_536, framing_bytes=1024)
    yield client
    await client.close()


async def asked(client: HttpClient, url: URL) -> bytes:
    deadline = asyncio.get_running_loop().time() + SECONDS
    response = await client.request(RequestHead("GET", url, {}), None, SharedLookups(), deadline)
    body = b""
    while part := await response.read_some():
        body += part
    return body


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_response_that_comes_before_the_next_request_is_sent_is_no_answer(
    turns: int, client: HttpClient
) -> None:
    with serving() as server:
        # Given a connection that has answered, and waits for a next request
        assert await asked(client, server.url) == b"answer 0"
        # When its server says more, just as that request begins
        asking = asyncio.create_task(asked(client, server.url))
        for _ in range(turns):
            await asyncio.sleep(0)
        server.say_more()
        # Then the request is answered over another connection
        assert await asking == b"answer 1"
        await client.close()
