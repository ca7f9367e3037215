"""A client that stops reading its stream holds the LLM's call and its place no longer than the call may take."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import HOST, Service
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = {"messages": [{"role": "user", "content": "endless"}], "stream": True}
ROUTES = {
    "/api/streaming": {"question": "endless"},
    "/generate": {"prompt": "endless", "stream": True},
    "/v1/chat/completions": SAID,
}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"UPSTREAM_CONCURRENCY": "1", "LLM_TIMEOUT_SECONDS": "1"}


async def endless(request: web.BaseRequest, _: replies.Call) -> web.StreamResponse:
    response = web.StreamResponse(headers=replies.SSE_HEADERS)
    await response.prepare(request)
    while True:
        await response.write(sse(chunk("x" * 65_536), done=False))


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def upstream_without_end(llm: FakeLLM) -> AsyncIterator[None]:
    llm.on("endless", endless)
    yield


class Silent:
    """A client that sends a request and reads nothing until `read`."""

    def __init__(self, port: int, path: str, body: Any) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((HOST, port))
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\naccept: text/event-stream\r\n"
        self._socket.sendall(f"{head}connection: close\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)

    async def read(self) -> bytes:
        """Everything until the connection ends."""
        reader, writer = await asyncio.open_connection(sock=self._socket)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("path", ROUTES)
async def test_the_call_of_a_client_that_reads_nothing_ends_in_time_and_others_are_served(
    service: Service, http: aiohttp.ClientSession, llm: FakeLLM, path: str
) -> None:
    calls, gone = llm.total, llm.disconnects
    silent = Silent(service.port, path, ROUTES[path])
    await llm.wait_for_calls(calls + 1)

    await llm.wait_for_disconnects(gone + 1, timeout=5)

    async with http.post("/api/ask", json={"question": "and me?"}) as response:
        assert response.status == 200
    silent.close()


@pytest.mark.parametrize(("path", "end"), [("/generate", b"event: error"), ("/v1/chat/completions", b'data: {"error"')])
async def test_a_client_that_reads_on_later_sees_that_the_stream_broke(
    service: Service, llm: FakeLLM, path: str, end: bytes
) -> None:
    gone = llm.disconnects
    silent = Silent(service.port, path, ROUTES[path])
    await llm.wait_for_disconnects(gone + 1, timeout=5)

    received = await silent.read()

    # The kernel and the service hold little for it, whatever the LLM would have sent.
    assert len(received) < 512 * 1024
    _, found, last = received.rpartition(end)
    assert found
    assert b"upstream_timeout" in last
    assert last.endswith(b"\r\n0\r\n\r\n")
