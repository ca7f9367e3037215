"""What stories about reviews begin with: a client, its webhook, and files for the LLM to read."""

from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
from aiohttp import web

from answerback.testing.behaviours import Behaviour
from answerback.testing.receiver import Callback, Receiver
from eventually import eventually

FILE = {"url": "https://files.example/essay.pdf", "pages": [1, 2]}
VERDICT = {"score": 0.5, "feedback": "Schön, aber kurz."}


class Desk:
    """Hands work in and follows it. `http` is a session on the service."""

    def __init__(self, http: aiohttp.ClientSession, receiver: Receiver) -> None:
        self.http = http
        self.receiver = receiver
        self.count = 0

    def body(self, **changes: Any) -> dict[str, Any]:
        self.count += 1
        hook = self.receiver.url("/hook")
        return {"submission_id": f"essay-{self.count}", "file_refs": [FILE], "webhook_url": hook} | changes

    async def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        async with self.http.post(path, json=body, **options) as response:
            return response.status, await response.json()

    async def hand_in(self, **changes: Any) -> str:
        status, accepted = await self.post("/v1/reviews", self.body(**changes))
        assert status == 202, accepted
        return str(accepted["job_id"])

    async def job(self, job_id: str) -> Any:
        async with self.http.get(f"/v1/jobs/{job_id}") as response:
            assert response.status == 200
            return await response.json()

    async def until(self, job_id: str, wanted: Callable[[Any], bool]) -> Any:
        """The job, once it is as wanted."""

        async def probe() -> Any:
            job = await self.job(job_id)
            return job if wanted(job) else None

        return await eventually(probe, f"{job_id} as wanted")

    async def until_state(self, job_id: str, state: str) -> Any:
        return await self.until(job_id, lambda job: job["status"] == state)

    async def until_delivered(self, job_id: str) -> Any:
        return await self.until(job_id, lambda job: job["delivery"] and job["delivery"]["status"] == "delivered")

    async def callbacks_of(self, job_id: str, times: int = 1) -> Sequence[Callback]:
        """The callbacks of a job, once there are so many."""
        await self.receiver.wait_for(lambda callbacks: len(_of(callbacks, job_id)) >= times)
        return _of(self.receiver.callbacks, job_id)

    async def verdict(self, job_id: str) -> Any:
        """What its one callback says."""
        (callback,) = await self.callbacks_of(job_id)
        assert callback.verified is not False
        return callback.json


def _of(callbacks: Sequence[Callback], job_id: str) -> Sequence[Callback]:
    return [each for each in callbacks if each.json["job_id"] == job_id]


def file(data: bytes | str, content_type: str = "text/plain; charset=utf-8", **headers: str) -> Behaviour:
    """A file server's answer."""
    body = data.encode() if isinstance(data, str) else data

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": content_type, **headers})

    return answer
