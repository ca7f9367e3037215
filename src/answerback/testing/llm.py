"""A real LLM server without an LLM: speaks OpenAI's chat completions, plain completions and embeddings on 127.0.0.1,
remembers every call, and answers as its script says, however badly.

async with FakeLLM() as llm:
    llm.then(replies.status(429, headers={"Retry-After": "1"}))
    …  # point a client at llm.base_url and have it ask
    first, second = await llm.wait_for_calls(2)
    assert llm.count("hello") == 2

As a process of its own: `python -m answerback.testing.llm --port 9000 --delay-ms 0 --log calls.jsonl`.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

from aiohttp import web
from multidict import CIMultiDictProxy

from answerback.testing.completions import last_user_text
from answerback.testing.replies import Call, Reply, delayed, echo, embeddings, status, text_completion

HOST = "127.0.0.1"
MAX_BODY = 64 * 1024 * 1024
SHUTDOWN_SECONDS = 1.0
DEEP = 500
"""A body with more brackets is decoded in a thread of its own, whose stack leaves more room for recursion."""

Match: TypeAlias = str | Callable[[str], bool]
"""Selects calls by their last user message: its text, or a function that is true for it."""


class FakeLLM:
    """An OpenAI-compatible server on `port` of 127.0.0.1 (0: a free one).

    A call is answered by the first unused reply of `then`; else that of the first `on` that matches; else `default`: an
    echo, or, where they were asked for, a text that goes on or vectors. `log` is a file that gets one line of JSON per
    call, written before the call is answered, so that it has the calls of a client that is killed, too. With
    `remember=False` only totals are kept, for long runs.
    """

    def __init__(
        self,
        port: int = 0,
        default: Reply | None = None,
        log: Path | None = None,
        remember: bool = True,
        models: Sequence[str] = ("fake",),
    ) -> None:
        self.port = port
        self._default = default or echo()
        self._log_path = log
        self._log: int | None = None
        self._remember = remember
        self._models = tuple(models)
        self._next: deque[Reply] = deque()
        self._matches: list[tuple[Match, deque[Reply]]] = []
        self._calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._runner: web.ServerRunner | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self.total = 0
        """How many calls have come."""
        self.active = 0
        """How many are being answered now."""
        self.peak = 0
        """The most that were answered at once."""
        self.disconnects = 0
        """How many callers disconnected before they had their answer."""
        self.lists = 0
        """How often its models were asked for."""
        self.list_reply: Reply | None = None
        """Answers `GET /v1/models`; None: the models it was made with, as a list that claims to be complete."""
        self.connections: set[tuple[str, int]] = set()
        """The addresses that calls came from: one for each connection."""

    async def __aenter__(self) -> Self:
        if self._log_path is not None:
            self._log = os.open(self._log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        # The low-level server: no routes, no access log, so that a call costs little. A caller that disconnects ends
        # its handler, whatever the script says.
        server = web.Server(self._handle, request_factory=_request, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port, backlog=4096).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        runner, self._runner = self._runner, None
        for task in tuple(self._running):
            task.cancel()
        if runner is not None:
            await runner.cleanup()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    @property
    def base_url(self) -> str:
        """The base URL for clients, with `/v1`."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def calls(self) -> Sequence[Call]:
        """Everything asked for so far, in order, but for lists of models."""
        return tuple(self._calls)

    def count(self, user: str) -> int:
        """How often this text was asked, as the last user message."""
        return self._counts[user]

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each text was asked."""
        return dict(self._counts)

    def then(self, *replies: Reply) -> None:
        """Answers the coming calls, one reply each, in order."""
        self._next.extend(replies)

    def on(self, match: Match, *replies: Reply) -> None:
        """Answers calls with this last user message, one reply each in order; the last reply stays."""
        if not replies:
            raise ValueError("name at least one reply")
        self._matches.append((match, deque(replies)))

    async def wait_for_calls(self, n: int = 1, timeout: float = 10.0) -> Sequence[Call]:
        """Waits until `n` calls have come, and returns all that came. Raises TimeoutError, saying how many."""
        await self._wait(lambda: self.total >= n, timeout, lambda: f"{self.total} calls of {n} came")
        return self.calls

    async def wait_for_disconnects(self, n: int = 1, timeout: float = 10.0) -> None:
        """Waits until `n` callers have disconnected before they had their answer. Raises TimeoutError."""
        await self._wait(lambda: self.disconnects >= n, timeout, lambda: f"{self.disconnects} callers of {n} went")

    async def wait_for_lists(self, n: int = 1, timeout: float = 10.0) -> None:
        """Waits until its models have been asked for `n` times. Raises TimeoutError, saying how often they were."""
        await self._wait(lambda: self.lists >= n, timeout, lambda: f"asked {self.lists} times of {n}")

    async def _wait(self, satisfied: Callable[[], bool], timeout: float, progress: Callable[[], str]) -> None:
        if satisfied():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (satisfied, future)
        self._waiters.append(waiter)
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise TimeoutError(f"{progress()} within {timeout:g} s") from None
        finally:
            self._waiters.remove(waiter)

    def _changed(self) -> None:
        for satisfied, future in self._waiters:
            if not future.done() and satisfied():
                future.set_result(None)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/v1/chat/completions" and request.method == "POST":
            data = await request.read()
            try:
                body = await asyncio.to_thread(json.loads, data) if data.count(b"[") > DEEP else json.loads(data)
                user = last_user_text(body["messages"])
            except (ValueError, TypeError, KeyError):
                return await _refuse(400, "the body must be a JSON object with messages")(request, _NO_CALL)
            return await self._answer(request, body, user, self._default)
        if request.path == "/v1/completions" and request.method == "POST":
            body = await request.json()
            return await self._answer(request, body, str(body["prompt"]), text_completion())
        if request.path == "/v1/embeddings" and request.method == "POST":
            body = await request.json()
            given = body["input"]
            return await self._answer(
                request, body, str(given[0] if isinstance(given, list) and given else given), embeddings()
            )
        if request.path == "/v1/models" and request.method == "GET":
            self.lists += 1
            self._changed()
            if self.list_reply is not None:
                return await self.list_reply(request, _NO_CALL)
            rows = [{"id": name, "object": "model", "created": 0, "owned_by": "answerback"} for name in self._models]
            return await status(200, {"object": "list", "data": rows, "has_more": False})(request, _NO_CALL)
        return await _refuse(404, f"no such thing: {request.method} {request.path}")(request, _NO_CALL)

    async def _answer(
        self, request: web.BaseRequest, body: dict[str, Any], user: str, default: Reply
    ) -> web.StreamResponse:
        call = self._record(request, body, user)
        reply = self._choose(user) or default
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self.active += 1
        self.peak = max(self.peak, self.active)
        self._changed()
        try:
            return await reply(request, call)
        except (asyncio.CancelledError, ConnectionError):
            # The server cancels running calls when it closes: their callers did not disconnect.
            self.disconnects += self._runner is not None
            raise
        finally:
            self._running.discard(task)
            self.active -= 1
            self._changed()

    def _record(self, request: web.BaseRequest, body: dict[str, Any], user: str) -> Call:
        self.total += 1
        headers: CIMultiDictProxy[str] = request.headers
        call = Call(self.total, body, headers, time.monotonic(), user)
        if self._remember:
            self._calls.append(call)
            self._counts[user] += 1
            if request.transport is not None:
                self.connections.add(request.transport.get_extra_info("peername"))
        if self._log is not None:
            line = {"n": call.n, "at": time.time(), "user": user, "model": call.model, "messages": len(call.messages)}
            os.write(self._log, json.dumps(line).encode() + b"\n")
        return call

    def _choose(self, user: str) -> Reply | None:
        if self._next:
            return self._next.popleft()
        for match, replies in self._matches:
            if match(user) if callable(match) else match == user:
                return replies.popleft() if len(replies) > 1 else replies[0]
        return None


_NO_CALL = Call(0, {}, {}, 0.0, "")


def _refuse(code: int, text: str) -> Reply:
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
    return status(code, {"error": error})


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


async def serve(port: int, delay_seconds: float, log: Path | None) -> None:
    """Serves until SIGTERM or SIGINT; prints its base URL on stdout when it listens."""
    default = delayed(delay_seconds) if delay_seconds > 0 else echo()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with FakeLLM(port, default, log, remember=False) as llm:
        sys.stdout.write(f"listening on {llm.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m answerback.testing.llm", description=serve.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, named on stdout")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="how long each answer takes")
    parser.add_argument("--log", type=Path, help="gets one line of JSON per call")
    chosen = parser.parse_args(arguments)
    # Not at the top: tests on Windows, where there is no uvloop, need only the class.
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(chosen.port, chosen.delay_ms / 1000, chosen.log))


if __name__ == "__main__":
    main()
