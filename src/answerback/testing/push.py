"""A scripted LLM that answers by webhook: takes reviews on 127.0.0.1, remembers them, and calls back on demand.

async with PushLLM() as llm:
    llm.then(behaviours.status(503))        # the first submission is answered by this, the others are taken
    …  # start the service with LLM_API_URL=llm.url and ask it for a review
    (submission,) = await llm.wait_for(1)
    status, body = await llm.call_back(submission, {"ok": True, "result": {"score": 1}})
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from aiohttp import web

from answerback.testing.behaviours import Behaviour, status

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Submission:
    """One review as it was handed over; names in `headers` may be asked for in any case."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def job_id(self) -> str:
        return str(self.body["job_id"])

    @property
    def callback_url(self) -> str:
        return str(self.body["callback_url"])

    @property
    def payload(self) -> Mapping[str, Any]:
        return self.body["payload"]  # type: ignore[no-any-return]


class PushLLM:
    """Takes submissions on a free port with 202, unless `then` says otherwise."""

    def __init__(self) -> None:
        self._next: deque[Behaviour] = deque()
        self._submissions: list[Submission] = []
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/reviews", self._take)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self._port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What goes into LLM_API_URL."""
        return f"http://{HOST}:{self._port}"

    @property
    def submissions(self) -> Sequence[Submission]:
        """Every submission so far, in order, also those that were not taken."""
        return tuple(self._submissions)

    def then(self, *behaviours: Behaviour) -> None:
        """Answers the coming submissions, one behaviour each, in order."""
        self._next.extend(behaviours)

    async def wait_for(self, n: int = 1, timeout: float = 10.0) -> Sequence[Submission]:
        """Waits until `n` submissions have come, and returns all that came. Raises TimeoutError, saying how many."""
        try:
            async with asyncio.timeout(timeout), self._came:
                await self._came.wait_for(lambda: len(self._submissions) >= n)
        except TimeoutError:
            raise TimeoutError(f"{len(self._submissions)} submissions of {n} came within {timeout:g} s") from None
        return self.submissions

    async def call_back(self, submission: Submission, answer: Mapping[str, Any]) -> tuple[int, Any]:
        """Answers a submission; the service's status and body."""
        if self._session is None:
            raise RuntimeError("the LLM is not running")
        async with self._session.post(submission.callback_url, json=answer) as response:
            return response.status, await response.json()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        submission = Submission(json.loads(await request.read()), request.headers)
        self._submissions.append(submission)
        async with self._came:
            self._came.notify_all()
        behaviour = self._next.popleft() if self._next else status(202, '{"accepted": true}')
        return await behaviour(request)
