"""The file servers of both tenants, the small one's receiver, and an LLM that judges essays, in this process. Whatever
else answers the big tenant is the upstream: under its load this process would be the slowest of all."""

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from answerback.testing.ports import HOST

BACKLOG = 4096
SLOW_SECONDS = 20.0
"""How long a slow file takes; a slow receiver never answers."""
ESSAY = "An essay about nothing in particular. " * 50
VERDICT = json.dumps({"score": 0.7, "feedback": "Clear."})


FILE_SERVERS = 20
"""One origin is asked for a tenant's file a second."""


class Doubles:
    """Awaited callbacks are known by the number in their path; others go to the URL `ignored`."""

    def __init__(self, ignored: str) -> None:
        self.ignored = ignored
        self._awaited: dict[str, asyncio.Future[float]] = {}
        self._runner: web.AppRunner | None = None
        self._silent: list[asyncio.Server] = []
        self._addresses: list[str] = []

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/awaited/{number}", self._called_back)
        app.router.add_get("/essay", self._essay)
        app.router.add_get("/slow/{number}", self._slow_essay)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        for _ in range(1 + FILE_SERVERS):
            await web.TCPSite(self._runner, HOST, 0, backlog=BACKLOG).start()
        self._addresses = [f"http://{HOST}:{address[1]}" for address in self._runner.addresses]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._silent:
            server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, path: str, host: str = HOST) -> str:
        return self._addresses[0].replace(HOST, host) + path

    def essay(self, number: int) -> str:
        """The URL of a file that is there at once."""
        return self._addresses[1 + number % FILE_SERVERS] + "/essay"

    def awaiting(self, number: str) -> asyncio.Future[float]:
        """When the callback to `/awaited/{number}` came, by `time.perf_counter`."""
        self._awaited[number] = came = asyncio.get_running_loop().create_future()
        return came

    async def silent_receiver(self) -> str:
        """The URL of another origin, which takes connections and never answers."""

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(65536):
                pass
            writer.close()

        server = await asyncio.start_server(hold, HOST, 0, backlog=BACKLOG)
        self._silent.append(server)
        return f"http://{HOST}:{server.sockets[0].getsockname()[1]}/silent"

    async def _complete(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        message = {"role": "assistant", "content": VERDICT}
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
            }
        )

    async def _called_back(self, request: web.Request) -> web.Response:
        came = self._awaited.pop(request.match_info["number"], None)
        if came is not None and not came.done():
            came.set_result(time.perf_counter())
        return web.Response()

    async def _essay(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(text=ESSAY)

    async def _slow_essay(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        for _ in range(int(SLOW_SECONDS)):
            await response.write(b"word ")
            await asyncio.sleep(1)
        return response
