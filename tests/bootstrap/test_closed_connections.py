"""What a connection held leaves memory when it closes, not when Python next looks for cycles."""

import asyncio
import socket
import weakref
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from answerback.bootstrap.app import create_app
from answerback.http.server.protocol import BoundedHttp
from answerback.llm.reply import StreamedReply
from answerback.testing.service import HOST
from whole_api import whole_api

JSON = b"host: localhost\r\ncontent-type: application/json\r\n"
QUESTION = b'{"question": "Why?"}'


def post(path: bytes, body: bytes, more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\n%b%bcontent-length: %d\r\n\r\n%b" % (path, JSON, more, len(body), body)


SENT = [
    b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"GET /v1/jobs/unknown HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer wrong\r\n\r\n",
    b"GET /v1/jobs HTTP/1.1\r\nhost: localhost\r\n\r\n",
    post(b"/api/ask", QUESTION),
    post(b"/api/ask", b"{}"),
    post(b"/api/streaming", QUESTION, b"accept: text/event-stream\r\n"),
    post(b"/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "stream": true}'),
]


@pytest.mark.usefixtures("uncollected")
async def test_connections_leave_memory_when_they_close(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    made = StreamedReply.when_over

    def remembered(reply: StreamedReply, call: Any) -> None:
        alive.add(reply)
        made(reply, call)

    monkeypatch.setattr(StreamedReply, "when_over", remembered)
    async with whole_api(path, mock_delay_seconds=0) as api:
        app = create_app(api.service)

        class Remembered(BoundedHttp.configured(app.requests, app.renderers)):  # type: ignore[misc]
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                alive.add(self)

        server = uvicorn.Server(uvicorn.Config(app.asgi, http=Remembered, lifespan="off", log_config=None))
        with socket.create_server((HOST, 0)) as listening:
            running = asyncio.ensure_future(server.serve([listening]))
            for sent in SENT:
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                writer.write(sent)
                assert await reader.readuntil(b"\r\n\r\n")
                writer.close()
            server.should_exit = True
            await running

    assert list(alive) == []
