"""What TLS needs besides content is counted: a server may send tickets, and handshakes, without end."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from yarl import URL

from answerback.http.client import dial
from answerback.http.client.client import HttpClient, RequestHead
from answerback.http.client.errors import BodyBroken, ConnectFailed, Disconnected, TooMuchFraming
from answerback.http.client.names import SharedLookups
from answerback.http.client.response import Response
from answerback.http.client.tls import MAX_HANDSHAKE_BYTES, MAX_TLS_BYTES
from certificates import self_signed

HEAD = b"HTTP/1.1 200 OK\r\n"
HELLO_REQUEST = b"\x16\x03\x03\x00\x04\x00\x00\x00\x00"
"""A message of TLS 1.2 that a client in a handshake passes over."""

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.starts_processes


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem", "IP:127.0.0.1")


@asynccontextmanager
async def speaking(speak: Speak, tls: ssl.SSLContext | None) -> AsyncIterator[URL]:
    tasks: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await speak(reader, writer)
        writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield URL(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def serving(certificate: Path, tickets: int = 2) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.num_tickets = tickets
    return context


def saying(*pieces: bytes) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return speak


async def asked(client: HttpClient, url: URL) -> Response:
    deadline = asyncio.get_running_loop().time() + 20
    return await client.request(RequestHead("GET", url, {}), None, SharedLookups(), deadline)


@pytest.fixture
async def client(certificate: Path) -> AsyncIterator[HttpClient]:
    tls = ssl.create_default_context(cafile=certificate)
    client = HttpClient(None, tls, buffer_bytes=65_536, framing_bytes=1024)
    yield client
    await client.close()


async def whole(response: Response) -> bytes:
    body = b""
    while part := await response.read_some():
        body += part
    return body


async def test_tickets_without_end_end_the_exchange(client: HttpClient, certificate: Path) -> None:
    answer = saying(HEAD + b"Content-Length: 0\r\n\r\n")
    async with speaking(answer, serving(certificate, tickets=2000)) as url:
        with pytest.raises(TooMuchFraming):
            await asked(client, url)


async def test_some_tickets_are_no_trouble(client: HttpClient, certificate: Path) -> None:
    answer = saying(HEAD + b"Content-Length: 2\r\n\r\nok")
    async with speaking(answer, serving(certificate, tickets=20)) as url:
        assert await whole(await asked(client, url)) == b"ok"


async def test_a_handshake_without_end_is_given_up(client: HttpClient) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(HELLO_REQUEST * 1000)
            await writer.drain()
            sent.append(len(HELLO_REQUEST) * 1000)

    sent: list[int] = []
    async with speaking(speak, None) as url:
        with pytest.raises(TooMuchFraming):
            await asked(client, url)
    assert sum(sent) > MAX_HANDSHAKE_BYTES


async def test_a_server_that_closes_within_the_handshake_was_not_connected_to(client: HttpClient) -> None:
    async def speak(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with speaking(speak, None) as url:
        with pytest.raises(ConnectFailed):
            await asked(client, url)


async def test_a_body_in_small_records_is_whole(client: HttpClient, certificate: Path) -> None:
    records = [b"data: %05d\n\n" % number for number in range(MAX_TLS_BYTES // 16)]
    answer = saying(HEAD + b"\r\n", *records)
    async with speaking(answer, serving(certificate)) as url:
        assert await whole(await asked(client, url)) == b"".join(records)


@pytest.mark.parametrize(
    ("said", "error"),
    [(b"", Disconnected), (HEAD + b"Content-Length: 5\r\n\r\nabc", BodyBroken)],
    ids=["no response", "half a body"],
)
async def test_a_server_that_closes_too_early(
    said: bytes, error: type[Exception], client: HttpClient, certificate: Path
) -> None:
    async with speaking(saying(said), serving(certificate)) as url:
        with pytest.raises(error):
            await whole(await asked(client, url))


def test_no_server_asks_for_another_handshake() -> None:
    assert dial._trust().options & ssl.OP_NO_RENEGOTIATION


async def test_a_request_that_is_cancelled_while_it_connects_leaves_nothing_to_log(
    client: HttpClient, certificate: Path
) -> None:
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    async with speaking(saying(), serving(certificate)) as url:
        for turns in range(12):
            asking = asyncio.create_task(asked(client, url))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    await client.close()
    gc.collect()
    assert troubles == []
