"""Clients that send a part of a large body make the service hold no more than its bound; whole ones are answered."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
import uvicorn

from answerback.bootstrap.app import create_app
from answerback.http import middleware
from answerback.http.server.protocol import BoundedHttp
from answerback.http.unfinished_bodies import UnfinishedBodies
from answerback.testing.service import HOST
from bounded_http import PATIENCE
from whole_api import whole_api

BODY = json.dumps({"messages": [{"role": "user", "content": "x" * 400_000}]}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
LAST = 1_000
REQUEST = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


async def first_line(reader: asyncio.StreamReader) -> bytes:
    """Nothing where the connection is closed."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


async def test_the_first_unfinished_bodies_make_room_for_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a service that holds two bodies
    monkeypatch.setattr(middleware, "UnfinishedBodies", lambda: UnfinishedBodies(2 * len(BODY), 2 * len(BODY)))
    async with whole_api(path, mock_delay_seconds=0) as api:
        app = create_app(api.service)
        http = BoundedHttp.configured(app.requests, app.renderers)
        server = uvicorn.Server(uvicorn.Config(app.asgi, http=http, lifespan="off", log_config=None))  # type: ignore[arg-type]
        with socket.create_server((HOST, 0)) as listening:
            running = asyncio.ensure_future(server.serve([listening]))
            clients = [await asyncio.open_connection(*listening.getsockname()) for _ in range(4)]

            # When more come
            for _, writer in clients:
                writer.write(REQUEST[:-LAST])

            # Then connections are closed, without an answer, as long as there are more
            reading = [asyncio.ensure_future(first_line(reader)) for reader, _ in clients]
            await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
            closed = {each for each in reading if each.done()}
            while len(closed) < 2:
                more, _ = await asyncio.wait(set(reading) - closed, return_when=asyncio.FIRST_COMPLETED)
                closed |= more
            assert [each.result() for each in closed] == [b"", b""]

            # And the others are answered once they are whole
            for each, (_, writer) in zip(reading, clients, strict=True):
                if each not in closed:
                    writer.write(REQUEST[-LAST:])
            lines = await asyncio.wait_for(asyncio.gather(*(set(reading) - closed)), PATIENCE)
            assert lines == [b"HTTP/1.1 200 OK\r\n"] * 2
            for _, writer in clients:
                writer.close()
            server.should_exit = True
            await running
