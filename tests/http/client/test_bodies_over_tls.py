"""Over TLS a turn's bytes come out of several records."""

import asyncio
import ssl
from pathlib import Path

import pytest
from yarl import URL

from answerback.http.client.client import HttpClient, RequestHead
from answerback.http.client.names import SharedLookups
from certificates import self_signed

RECORDS = [b"%06d," % number * 100 for number in range(400)]
BODY = b"".join(RECORDS)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem", "IP:127.0.0.1")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY))
    for record in RECORDS:
        writer.write(record)
    await writer.drain()
    writer.close()


@pytest.mark.starts_processes
async def test_a_body_of_many_records_comes_whole(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    client = HttpClient(5.0, ssl.create_default_context(cafile=certificate), buffer_bytes=65_536, framing_bytes=1024)
    async with server:
        url = URL(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

        deadline = asyncio.get_running_loop().time() + 60
        response = await client.request(RequestHead("GET", url, {}), None, SharedLookups(), deadline)

        body = b""
        while part := await response.read_some():
            body += part
        assert body == BODY
        response.close()
        await client.close()
