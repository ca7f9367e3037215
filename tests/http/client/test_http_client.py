"""Requests over real sockets: connections are kept, given up, and never shared by two exchanges."""

import asyncio
import contextlib
import gc
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from threading import Event, Thread

import pytest
import pytest_asyncio
from yarl import URL

from answerback.http import chunk_rate, descriptors
from answerback.http.client import client as module
from answerback.http.client import names
from answerback.http.client.client import HttpClient, RequestHead
from answerback.http.client.connection import TURN_BYTES, Connection
from answerback.http.client.errors import (
    BodyBroken,
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    NameNotFound,
    NotHttp,
)
from answerback.http.client.names import SharedLookups, look_up
from answerback.http.client.response import Response

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HELLO)
    await writer.drain()
    writer.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[URL]:
    tasks: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.create_task(run(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path?a=b")
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def take(reader: asyncio.StreamReader) -> bytes:
    """The head of a request, its body of five bytes read."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(5)
    return head


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(5.0, buffer_bytes=65_536, framing_bytes=1024)
    yield client
    await client.close()


def later() -> float:
    return asyncio.get_running_loop().time() + 60


async def post(client: HttpClient, url: URL, **headers: str) -> Response:
    return await client.request(RequestHead("POST", url, headers), b"12345", SharedLookups(), later())


async def whole(response: Response) -> bytes:
    content = b""
    while part := await response.read_some():
        content += part
    return content


def echo(connections: Counter[int], *responses: bytes) -> Serve:
    """Answers each request of a connection with the next response, the last one again and again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections[number] = 0
        while True:
            await take(reader)
            writer.write(responses[min(connections[number], len(responses) - 1)])
            connections[number] += 1

    return serve


async def test_a_request_is_sent_as_it_is_meant(client: HttpClient) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await take(reader))
        writer.write(HELLO)
        await reader.read()

    async with serving(serve) as url:
        response = await post(client, url, Authorization="Bearer grüß")
        assert (response.status, await whole(response)) == (200, b"hello")
    first, host, *fields = heads[0].decode().split("\r\n")
    assert (first, host) == ("POST /path?a=b HTTP/1.1", f"Host: 127.0.0.1:{url.port}")
    assert fields == ["Authorization: Bearer grüß", "Content-Length: 5", "", ""]


async def test_credentials_of_a_url_are_sent_unless_there_are_others(client: HttpClient) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await take(reader))
            writer.write(HELLO)

    async with serving(serve) as url:
        for headers in ({}, {"Authorization": "Bearer key"}):
            await whole(await post(client, url.with_user("me").with_password("pä:ss"), **headers))
    sent = [
        line for head in heads for line in head.decode().split("\r\n") if line.startswith(("Authorization", "Host"))
    ]
    host = f"Host: 127.0.0.1:{url.port}"
    assert sent == [host, "Authorization: Basic bWU6cMOkOnNz", host, "Authorization: Bearer key"]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b"])
async def test_a_header_that_would_end_early_is_not_sent(client: HttpClient, value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        await post(client, URL("http://127.0.0.1:9/"), Evil=value)


async def test_a_connection_serves_one_exchange_at_a_time_and_many_in_turn(client: HttpClient) -> None:
    # Given exchanges that end in the same step of the event loop in which others wait for a connection
    connections: Counter[int] = Counter()
    room = asyncio.Semaphore(20)

    async def one() -> bytes:
        async with room:
            return await whole(await post(client, url))

    async with serving(echo(connections, HELLO)) as url:
        async with asyncio.timeout(20):
            contents = await asyncio.gather(*(one() for _ in range(300)))
    assert contents == [b"hello"] * 300
    assert len(connections) <= 20


async def test_a_connection_that_sends_more_than_a_response_is_not_used_again(client: HttpClient) -> None:
    connections: Counter[int] = Counter()
    async with serving(echo(connections, HELLO + b"!")) as url:
        for _ in range(2):
            assert await whole(await post(client, url)) == b"hello"
    assert connections == {0: 1, 1: 1}


async def test_a_connection_in_the_upper_half_of_the_descriptors_waits_for_no_next_request(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: Counter[int] = Counter()
    async with serving(echo(connections, HELLO)) as url:
        # Given so few descriptors that every further one is in their upper half
        lowest = os.dup(0)
        os.close(lowest)
        monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (2 * lowest, 2 * lowest))
        for _ in range(2):
            assert await whole(await post(client, url)) == b"hello"
    assert connections == {0: 1, 1: 1}


async def test_a_reused_connection_that_closes_silently_is_replaced_at_once(client: HttpClient) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(HELLO)
        await take(reader)

    async with serving(serve) as url:
        for _ in range(3):
            assert await whole(await post(client, url)) == b"hello"


async def test_a_new_connection_that_closes_silently_is_an_error(client: HttpClient) -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await take(reader)

    async with serving(serve) as url:
        with pytest.raises(Disconnected):
            await post(client, url)


async def test_a_server_that_speaks_first_is_understood(client: HttpClient) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        await reader.read()

    async with serving(serve) as url:
        assert await whole(await post(client, url)) == b"hello"


async def test_an_idle_connection_is_closed_soon(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_SECONDS", 0.05)
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(HELLO)
        await reader.read()
        closed.set()

    async with serving(serve) as url:
        await whole(await post(client, url))
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_cancelled_request_closes_its_connection(client: HttpClient) -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await take(reader)
        begun.set()
        await reader.read()
        closed.set()

    async with serving(serve) as url:
        task = asyncio.create_task(post(client, url))
        await begun.wait()
        task.cancel()
        async with asyncio.timeout(5):
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_reader_that_stops_makes_the_server_wait(client: HttpClient) -> None:
    # Given a server with more to say than is read
    sent = 0
    full = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            try:
                async with asyncio.timeout(0.3):
                    await writer.drain()
            except TimeoutError:
                full.set()
                return

    async with serving(serve) as url:
        response = await post(client, url)
        async with asyncio.timeout(20):
            await full.wait()
        assert sent < 20_000_000
        # Then what it read is at most what was asked for
        assert 0 < len(await response.read_some(1000)) <= 1000
        response.close()


async def turns_of_others(turns: list[int]) -> None:
    while True:
        await asyncio.sleep(0)
        turns[0] += 1


MUCH = {
    "content": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 350_000,
    "chunks of one byte": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 58_000,
    "interim responses": (b"HTTP/1.1 103 Early\r\n" + b"a:\n" * 1_000 + b"\r\n") * 15
    + b"HTTP/1.1 200 OK\r\n\r\n"
    + b"x" * 300_000,
}


def send_at_once(server: socket.socket, response: bytes, asked: Event, go: Event, sent: Event) -> None:
    connection, _ = server.accept()
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
        connection.recv(65_536)
        asked.set()
        go.wait(5)
        connection.sendall(response)
        sent.set()


@pytest.mark.parametrize("name", MUCH)
async def test_a_server_that_sends_much_at_once_leaves_others_their_turns(name: str) -> None:
    client = HttpClient(5.0, buffer_bytes=1_000_000, framing_bytes=1_000_000)
    asked, go, sent = Event(), Event(), Event()
    turns = [0]
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=send_at_once, args=(server, MUCH[name], asked, go, sent))
        thread.start()
        request = asyncio.create_task(post(client, URL(f"http://127.0.0.1:{server.getsockname()[1]}/")))
        await asyncio.to_thread(asked.wait, 5)
        # Given all of its bytes in the kernel before the event loop turns again
        go.set()
        assert sent.wait(5)
        others = asyncio.create_task(turns_of_others(turns))
        with contextlib.suppress(BodyBroken):
            await whole(await request)
        others.cancel()
        thread.join()
    await client.close()

    # Then others had a turn after every few of them
    assert turns[0] > len(MUCH[name]) // TURN_BYTES


FLOODS = 12

LITTLE = {
    "chunks of one byte": b"1\r\nx\r\n" * 1_000,
    "lines of chunks": b"000000001\r\nx\r\n" * 1_000,
    "chunks with extensions": b"1;a=b\r\nx\r\n" * 1_000,
}


@pytest.mark.parametrize("name", LITTLE)
async def test_a_server_that_sends_next_to_nothing_without_end_is_read_at_a_rate(name: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(LITTLE[name])
            await writer.drain()

    client = HttpClient(5.0, buffer_bytes=1_000_000, framing_bytes=100_000_000)
    async with serving(serve) as url:
        response = await post(client, url)
        loop = asyncio.get_running_loop()
        began, content = loop.time(), 0
        while loop.time() - began < 1.0:
            content += len(await response.read_some())
        seconds = loop.time() - began
        response.close()
    await client.close()

    assert 1_000 < content < chunk_rate.CHUNKS_AT_ONCE + chunk_rate.CHUNKS_A_SECOND * seconds + TURN_BYTES


FLOOD = {
    "chunks of six bytes": (b"Transfer-Encoding: chunked", b"6\r\nabcdef\r\n" * 1_000, 6),
    "chunks of 64 bytes": (b"Transfer-Encoding: chunked", b"40\r\n%b\r\n" % (b"x" * 64) * 1_000, 64),
    "content": (b"Content-Length: 1000000000", b"x" * 100_000, TURN_BYTES // 4),
}
"""What a server sends, and the content of a chunk; a read of a whole turn counts as four."""


@pytest.mark.parametrize("name", FLOOD)
async def test_servers_that_are_strangers_share_what_they_may_send_in_a_second(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a server of files for each of the places: together they would take a third of a processor."""
    monkeypatch.setattr(chunk_rate, "CHUNKS_A_SECOND", 1_000)
    monkeypatch.setattr(chunk_rate, "CHUNKS_AT_ONCE", 400)
    head, flood, chunk = FLOOD[name]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head)
        while True:
            writer.write(flood)
            await writer.drain()

    client = HttpClient(5.0, buffer_bytes=1_000_000, framing_bytes=1024, strangers=True)
    async with serving(serve) as url:
        responses = [await post(client, url) for _ in range(FLOODS)]
        loop = asyncio.get_running_loop()
        began, content = loop.time(), 0

        async def read(response: Response) -> None:
            nonlocal content
            while loop.time() - began < 1.0:
                content += len(await response.read_some())

        await asyncio.gather(*map(read, responses))
        seconds = loop.time() - began
        for response in responses:
            response.close()
    await client.close()

    unseen = FLOODS * (chunk_rate.CHUNKS_A_LOOK + TURN_BYTES / 11)
    assert 400 < content / chunk < 400 + 1_000 * seconds + unseen


async def test_a_flood_for_one_tenant_leaves_another_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_rate, "CHUNKS_A_SECOND", 1_000)
    monkeypatch.setattr(chunk_rate, "CHUNKS_AT_ONCE", 100)
    head, flood, _ = FLOOD["chunks of 64 bytes"]
    loop, came = asyncio.get_running_loop(), Counter[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head)
        while True:
            writer.write(flood)
            await writer.drain()

    async def read(tenant_id: str) -> None:
        asked = RequestHead("POST", url, {})
        response = await client.request(asked, b"12345", SharedLookups(), later(), tenant_id)
        while loop.time() < began + 1.5:
            came[tenant_id] += len(await response.read_some())
        response.close()

    async def read_behind_the_others() -> None:
        await asyncio.wait(flooded, timeout=0.5)
        came.clear()
        await read("other")

    client = HttpClient(5.0, buffer_bytes=1_000_000, framing_bytes=1024, strangers=True)
    async with serving(serve) as url:
        began = loop.time()
        flooded = [asyncio.create_task(read("flooded")) for _ in range(FLOODS)]
        await asyncio.gather(read_behind_the_others(), *flooded)
    await client.close()

    assert came["other"] > came.total() / 3


ENOUGH = {
    "content": (b"Content-Length: 4000000", b"x" * 4_000_000),
    "large chunks": (b"Transfer-Encoding: chunked", b"1000\r\n%b\r\n" % (b"x" * 4096) * 1_000 + b"0\r\n\r\n"),
    "chunks of an event": (b"Transfer-Encoding: chunked", b"fa\r\n%b\r\n" % (b"x" * 250) * 10_000 + b"0\r\n\r\n"),
}


@pytest.mark.parametrize("name", ENOUGH)
async def test_content_that_comes_fast_never_rests(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given rests that would never end
    monkeypatch.setattr(chunk_rate, "CHUNKS_A_SECOND", 1e-6)
    head, body = ENOUGH[name]
    client = HttpClient(5.0, buffer_bytes=1_000_000, framing_bytes=1024)
    async with serving(echo(Counter(), b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)) as url, asyncio.timeout(20):
        assert len(await whole(await post(client, url))) >= 2_500_000
    await client.close()


async def test_a_reader_that_finds_something_waiting_lets_others_go_first(client: HttpClient) -> None:
    async with serving(echo(Counter(), b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)) as url:
        response = await post(client, url)
        turns = [0]
        others = asyncio.create_task(turns_of_others(turns))
        while await response.read_some(10):
            pass
        others.cancel()

    assert turns[0] >= 98


async def test_a_body_that_breaks_off_fails_after_what_has_come(client: HttpClient) -> None:
    async with serving(echo(Counter(), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")) as url:
        response = await post(client, url)
        assert await response.read_some() == b"hello"
        await client.close()
        with pytest.raises((BodyBroken, Disconnected)):
            await response.read_some()


async def test_what_is_not_http_is_an_error(client: HttpClient) -> None:
    async with serving(echo(Counter(), b"220 mail.example ESMTP\r\n")) as url:
        with pytest.raises(NotHttp):
            await post(client, url)


async def test_nobody_listens(client: HttpClient) -> None:
    with pytest.raises(ConnectFailed) as error:
        await post(client, URL("http://127.0.0.1:9/"))
    assert isinstance(error.value.__cause__, ConnectionRefusedError)


async def test_a_name_without_an_address(client: HttpClient) -> None:
    with pytest.raises(NameNotFound):
        await post(client, URL("http://nobody.invalid/"))


async def test_connecting_has_a_limit_of_its_own() -> None:
    async def never(_: str, __: int, ___: asyncio.Timeout) -> list[str]:
        await asyncio.Event().wait()
        return []

    client = HttpClient(0.05, buffer_bytes=1024, framing_bytes=1024)
    with pytest.raises(ConnectTimeout):
        await client.request(RequestHead("GET", URL("http://slow.test/"), {}), None, never, later())
    await client.close()


@pytest.mark.parametrize("own", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("named", ["127.0.0.1", "::1"])
async def test_localhost_is_both_loopback_addresses_whichever_the_system_names(
    own: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = socket.AF_INET6 if ":" in named else socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(family, None, None, "", (named, 0))])
    try:
        server = await asyncio.start_server(answer, own, 0)
    except OSError:
        pytest.skip("this machine has no such address")
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(5, buffer_bytes=1024, framing_bytes=1024)

        with socket.socket(socket.AF_INET if ":" in own else socket.AF_INET6) as other:
            # No server of another test shall have the same port there, if there is such an address.
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1" if ":" in own else "::1", port))
            head = RequestHead("GET", URL(f"http://localhost:{port}/"), {})
            response = await client.request(head, None, SharedLookups(), later())

        assert response.status == 200
        await client.close()


def test_a_localhost_that_is_elsewhere_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, None, None, "", ("10.1.2.3", 0))])

    assert look_up("localhost") == ["10.1.2.3"]


async def test_a_failed_lookup_that_nobody_waits_for_any_more_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a lookup that fails after its only caller has given up
    logged: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    begun, may_fail = asyncio.Event(), Event()

    def fail(_: str) -> Sequence[str]:
        loop.call_soon_threadsafe(begun.set)
        may_fail.wait()
        raise OSError("no such name")

    monkeypatch.setattr(names, "look_up", fail)
    lookups = SharedLookups()
    asking = asyncio.create_task(lookups("upstream.test", 443, asyncio.timeout(None)))
    await begun.wait()
    asking.cancel()
    await asyncio.wait([asking])
    [(lookup, _)] = lookups._found.values()
    may_fail.set()
    await asyncio.wait([lookup])

    # When it is forgotten
    del lookup, lookups, asking
    gc.collect()

    # Then asyncio has nothing to say
    assert logged == []


async def test_a_request_that_is_cancelled_in_the_moment_it_is_connected_leaves_nothing_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a request that is cancelled when its connection has been made, before it hears of that
    client = HttpClient(5.0, buffer_bytes=65_536, framing_bytes=1024)
    made = Connection.connection_made

    def cancelled(connection: Connection, transport: asyncio.BaseTransport) -> None:
        made(connection, transport)
        request.cancel()

    monkeypatch.setattr(Connection, "connection_made", cancelled)
    async with serving(answer) as url:
        request = asyncio.create_task(post(client, url))
        with pytest.raises(asyncio.CancelledError):
            await request

        # Then the client closes
        async with asyncio.timeout(5):
            await client.close()


def slow_after_first(waits: asyncio.Event) -> Serve:
    """Answers the first request of a connection at once, the next ones once it may."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(HELLO)
        while True:
            await take(reader)
            await waits.wait()
            writer.write(HELLO)

    return serve


async def by(client: HttpClient, url: URL, seconds: float) -> bytes:
    deadline = asyncio.get_running_loop().time() + seconds
    return await whole(await client.request(RequestHead("POST", url, {}), b"12345", SharedLookups(), deadline))


@pytest.mark.parametrize("earlier", [0.5, 30.0])
async def test_a_request_ends_at_its_own_deadline_whatever_that_of_the_one_before(
    client: HttpClient, earlier: float
) -> None:
    async with serving(slow_after_first(asyncio.Event())) as url, asyncio.timeout(10):
        assert await by(client, url, earlier) == b"hello"
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            await by(client, url, 0.8)
        assert 0.79 < loop.time() - began < 5


async def test_the_deadline_of_an_earlier_request_ends_no_later_one(client: HttpClient) -> None:
    waits, loop = asyncio.Event(), asyncio.get_running_loop()
    async with serving(slow_after_first(waits)) as url, asyncio.timeout(10):
        assert await by(client, url, 0.5) == b"hello"
        later = asyncio.create_task(by(client, url, 30.0))
        loop.call_later(0.7, waits.set)

        assert await later == b"hello"


async def test_a_body_that_does_not_come_ends_at_the_deadline(client: HttpClient) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
    async with serving(echo(Counter(), half)) as url, asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await by(client, url, 0.1)


async def test_a_read_that_begins_to_wait_after_the_deadline_ends_at_once(client: HttpClient) -> None:
    """One that trickles lets its reader not be waiting just then."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
    async with serving(echo(Counter(), half)) as url, asyncio.timeout(10):
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        deadline = loop.time() + 0.1
        head = RequestHead("POST", url, {})
        response = await client.request(head, b"12345", SharedLookups(), deadline)
        loop.call_at(deadline + 0.01, over.set)
        await over.wait()

        assert await response.read_some() == b"hello"
        with pytest.raises(TimeoutError):
            await response.read_some()
        response.close()


async def test_connecting_ends_at_the_deadline_too() -> None:
    async def never(_: str, __: int, ___: asyncio.Timeout) -> list[str]:
        await asyncio.Event().wait()
        return []

    client = HttpClient(30.0, buffer_bytes=1024, framing_bytes=1024)
    deadline = asyncio.get_running_loop().time() + 0.05
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await client.request(RequestHead("GET", URL("http://slow.test/"), {}), None, never, deadline)
    await client.close()
