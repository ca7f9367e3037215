"""What a connection may send, and what of it is held, is bounded: before a key is looked at and after."""

import asyncio
import socket
import struct
import weakref
from typing import Any

import pytest

from answerback.http import chunk_rate
from answerback.http.server.protocol import BoundedHttp
from answerback.http.server.request_bounds import MAX_FIELDS, MAX_HEAD_BYTES, MAX_PIPELINED, MAX_UNWANTED_BYTES
from answerback.http.server.turns import TURN_BYTES
from bounded_http import PATIENCE, App, Counting, Headers, Patient, connected, exchange, flood, rest, serving

HEAD = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


@pytest.fixture
def counting() -> type[Counting]:
    return type("Fresh", (Counting,), {})


async def test_a_client_of_http_1_0_gets_a_stream_without_chunks_that_ends_with_the_connection() -> None:
    async with serving(App(streams=0.1), http=Patient) as port:
        older = await exchange(port, b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        newer = await exchange(port, LAST)

    head, _, body = older.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert body.strip(b"x") == b"the end"
    assert b"transfer-encoding: chunked" in newer.lower()


async def test_trailers_are_no_headers() -> None:
    body = b"1;name=value\r\na\r\n0\r\nauthorization: Bearer key\r\nhost: other\r\n\r\n"
    app = Headers()
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, CHUNKED + body + LAST)

    assert answer.count(b"HTTP/1.1 200") == 2
    assert b"\r\n\r\nhost,transfer-encodingHTTP/1.1" in answer
    assert app.bodies == [b"a", b""]


@pytest.mark.parametrize("early", [False, True], ids=["waits for the body", "has answered"])
@pytest.mark.parametrize(
    ("begin", "endless"),
    [
        (b"0\r\n", b"x: y\r\n"),
        (b"0\r\n", b"x: " + b"y" * 1000 + b"\r\n"),
        (b"0\r\nx: ", b"y" * 1000),
        (b"1;", b"extension=x;" * 100),
        (b"1\r\na\r\n" * 10 + b"1;a=", b"b" * 1000),
    ],
    ids=["fields", "large fields", "a value", "extensions", "an extension"],
)
async def test_what_surrounds_a_body_is_bounded(
    counting: type[Counting], early: bool, begin: bytes, endless: bytes
) -> None:
    async with serving(Headers(early=early), http=counting) as port, connected(port) as (reader, writer):
        writer.write(CHUNKED + begin)
        with pytest.raises(ConnectionError):
            await flood(writer, endless * 20)
        answer = await rest(reader)

    # The client may find its connection reset before it reads the answer.
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 200"))
    assert counting.most_fields <= 2
    assert counting.received < MAX_HEAD_BYTES + 2 * 256 * 1024


async def test_small_chunks_are_a_body(counting: type[Counting]) -> None:
    app = Headers()
    async with serving(app, http=counting) as port:
        answer = await exchange(port, CHUNKED + b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n" + LAST)

    assert answer.count(b"HTTP/1.1 200") == 2
    assert app.bodies == [b"a" * 10_000, b""]


async def test_chunks_of_next_to_nothing_without_end_are_read_at_a_rate(counting: type[Counting]) -> None:
    loop = asyncio.get_running_loop()
    async with serving(Headers(), http=counting) as port, connected(port) as (_, writer):
        writer.write(CHUNKED)
        began = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await flood(writer, b"1\r\na\r\n" * 5_000)
        seconds, received = loop.time() - began, counting.received
        # What the kernel holds is not read then.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert 1_000 < received / 6 < chunk_rate.CHUNKS_AT_ONCE + chunk_rate.CHUNKS_A_SECOND * seconds + TURN_BYTES


async def test_a_body_that_comes_fast_is_read_in_turns_and_never_rests(
    counting: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given rests that would never end
    monkeypatch.setattr(chunk_rate, "CHUNKS_A_SECOND", 1e-6)
    app = Headers()
    body = b"1000\r\n%b\r\n" % (b"x" * 4096) * 2_000 + b"0\r\n\r\n"
    async with serving(app, http=counting) as port:
        await exchange(port, CHUNKED + body + LAST)

    assert len(app.bodies[0]) == 4096 * 2_000
    assert 1_000 < counting.most_at_once <= TURN_BYTES


@pytest.mark.parametrize(("fields", "status"), [(MAX_FIELDS, 200), (MAX_FIELDS + 1, 431), (50_000, 431)])
async def test_the_fields_of_a_head_are_counted(counting: type[Counting], fields: int, status: int) -> None:
    head = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n" + b"a:\r\n" * (fields - 2) + b"\r\n"
    async with serving(Headers(), http=counting) as port:
        answer = await exchange(port, head)

    assert answer.startswith(b"HTTP/1.1 %d " % status) or fields > 1000
    assert counting.most_fields <= MAX_FIELDS


@pytest.mark.parametrize("requests", [1, MAX_PIPELINED])
async def test_pipelined_requests_are_answered_in_order(requests: int) -> None:
    app = Headers()
    posts = [b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n%02d" % n for n in range(requests)]
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, b"".join(posts) + LAST)

    assert answer.count(b"HTTP/1.1 200") == requests + 1
    assert app.bodies == [b"%02d" % n for n in range(requests)] + [b""]


async def test_of_too_many_pipelined_requests_those_in_hand_are_answered_before_the_connection_ends(
    counting: type[Counting],
) -> None:
    app = Headers()
    async with serving(app, http=counting) as port:
        answer = await exchange(port, GET * 10_000)

    assert answer.count(b"HTTP/1.1 200") == len(app.bodies) == 1 + MAX_PIPELINED
    assert answer.count(b"HTTP/1.1 ") == 1 + MAX_PIPELINED
    assert counting.most_pipelined <= MAX_PIPELINED


@pytest.mark.parametrize(
    "wrong",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        GET[:-2] + b"a:\r\n" * MAX_FIELDS + b"\r\n",
        GET[:-2] + b"x: " + b"y" * 200_000,
    ],
    ids=["nonsense", "no host", "many fields", "a large field"],
)
async def test_what_is_refused_behind_a_request_does_not_cut_its_response(wrong: bytes) -> None:
    app = App(streams=0.3)
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, GET + wrong)

    assert answer.endswith(b"the end\r\n0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not app.gone.is_set()


async def test_a_client_that_stays_after_the_last_response_is_closed_like_an_idle_one() -> None:
    lost = asyncio.Event()

    class Watched(Patient):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async with serving(Headers(), http=Watched, keep_alive=0.2) as port, connected(port) as (reader, writer):
        writer.write(GET + b"nonsense\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 200")
        writer.write(b"more nonsense")

        await asyncio.wait_for(lost.wait(), PATIENCE)


async def test_what_comes_behind_the_last_request_is_bounded(counting: type[Counting]) -> None:
    async with serving(App(streams=60.0), http=counting) as port, connected(port) as (_, writer):
        writer.write(GET + b"nonsense\r\n\r\n")
        with pytest.raises(ConnectionError):
            await flood(writer, bytes(1_000_000))

    assert counting.received < MAX_UNWANTED_BYTES + 1_000_000


async def test_requests_behind_an_unread_response_are_not_read(counting: type[Counting]) -> None:
    app = App(streams=60.0)
    async with serving(app, http=counting) as port, connected(port) as (reader, writer):
        writer.write(GET * 2)
        # The stream waits for a hang-up by now, which needs reading.
        await asyncio.wait_for(reader.readuntil(b"1\r\nx\r\n1\r\nx\r\n"), PATIENCE)
        waiting = counting.received

        writer.write(GET * 100_000)
        await asyncio.wait_for(reader.readuntil(b"1\r\nx\r\n1\r\nx\r\n"), PATIENCE)

        assert counting.received == waiting


async def test_the_rest_of_a_body_behind_its_answer_is_bounded(counting: type[Counting]) -> None:
    async with serving(Headers(early=True), http=counting) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000000000\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionError):
            await flood(writer, bytes(1_000_000))

    assert counting.received < MAX_UNWANTED_BYTES + 1_000_000


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_client_that_sends_on_reads_the_answer_before_its_connection_is_closed(version: str) -> None:
    body = bytes(12_000_000)
    head = f"POST / HTTP/{version}\r\nhost: h\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    def ask(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(head + body)
            with connection.makefile("rb") as answer:
                return answer.read()

    async with serving(Headers(early=True)) as port:
        answer = await asyncio.to_thread(ask, port)

    assert answer.startswith(b"HTTP/1.1 200")


async def test_line_breaks_begin_no_request() -> None:
    async with serving(Headers(), http=Patient, keep_alive=0.2) as port:
        assert await exchange(port, b"\r\n") == b""
    async with serving(Headers(), http=Patient) as port:
        assert await exchange(port, b"\r\n" * MAX_HEAD_BYTES) == b""


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        GET,
        HEAD + b"half",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 1000,
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"a:\r\n" * 1000 + b"\r\n",
        GET * 10,
        b"nonsense\r\n\r\n",
        CHUNKED + b"0\r\nx: y\r\n",
    ],
    ids=["nothing", "request", "body", "head", "fields", "pipeline", "nonsense", "trailers"],
)
async def test_a_closed_connection_leaves_memory_at_once(sent: bytes) -> None:
    alive: weakref.WeakSet[BoundedHttp] = weakref.WeakSet()

    class Remembered(Patient):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            alive.add(self)

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            made.set()

    made = asyncio.Event()
    async with serving(App(), http=Remembered) as port, connected(port) as (_, writer):
        writer.write(sent)
        await asyncio.wait_for(made.wait(), PATIENCE)
        writer.close()

    assert list(alive) == []


async def test_a_client_that_hangs_up_before_its_pipelined_requests_are_answered_ends_the_first(
    counting: type[Counting],
) -> None:
    app = App(streams=60.0)
    async with serving(app, http=counting) as port, connected(port) as (reader, writer):
        writer.write(GET * 2)
        await reader.readline()
        writer.transport.abort()

        await asyncio.wait_for(app.gone.wait(), PATIENCE)
