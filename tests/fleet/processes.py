"""A fleet under test: routes in one process, worker pools in others, one database, perhaps a broker."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, Literal, Self

import aiohttp

from answerback.testing import FakeLLM, Receiver, Service, Worker
from surroundings import SECRET

CELERY = ("celery", "-A", "answerback.worker", "worker", "-P", "threads")
AWAITED = '"notifications_awaited"'
"""In a worker's log once for each time that it began to receive notifications."""
NOTIFIED_SECONDS = 0.5
"""Most messages that a notification announces are delivered within this time, on a busy machine too; found by polling
alone each would take a second."""


def settings(llm: FakeLLM, broker: str | None = None, **changes: object) -> dict[str, str]:
    """A service that asks this LLM. `lease_seconds=2` becomes `LEASE_SECONDS=2`."""
    chosen: dict[str, object] = {
        "openrouter_base_url": llm.base_url,
        "callback_hmac_secret": SECRET,
        "callback_backoff_seconds": 0.1,
        **({"celery_broker_url": broker} if broker else {}),
        **changes,
    }
    return {name.upper(): str(value) for name, value in chosen.items()}


class Fleet:
    """Posts messages and waits for callbacks."""

    def __init__(self, service: Service, workers: Sequence[Worker], receiver: Receiver) -> None:
        self.service = service
        self.workers = workers
        self.receiver = receiver

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    @property
    def worker(self) -> Worker:
        return self.workers[0]

    async def post(self, text: str) -> str:
        """Posts a message of no conversation; returns its job's id."""
        body = {"message": text, "stateless": True, "callback_url": self.receiver.url("/callbacks")}
        async with self._http.post(self.service.url + "/webhook", json=body) as response:
            assert response.status == 202, await response.text()
            job_id: str = (await response.json())["job_id"]
            return job_id

    async def job(self, job_id: str) -> Any:
        async with self._http.get(f"{self.service.url}/v1/jobs/{job_id}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def providers(self) -> Any:
        async with self._http.get(f"{self.service.url}/v1/providers") as response:
            assert response.status == 200, await response.text()
            return (await response.json())["items"]

    async def one_after_the_other(self, messages: int) -> float:
        """The median of the seconds until a message was delivered, each posted when the one before was."""
        return await median_seconds(self.post, self.receiver, messages)


async def median_seconds(post: Callable[[str], Awaitable[object]], receiver: Receiver, messages: int) -> float:
    """How long a message takes until it is delivered, each posted when the one before was."""
    taken = []
    for n in range(messages):
        already, began = len(receiver.callbacks), time.monotonic()
        await post(f"m{n}")
        await receiver.wait_for(already + 1, timeout=30)
        taken.append(time.monotonic() - began)
    return median(taken)


@asynccontextmanager
async def fleet(
    environment: dict[str, str],
    receiver: Receiver,
    *,
    role: Literal["all", "api"] = "api",
    workers: int = 1,
    module: Sequence[str] | None = None,
) -> AsyncIterator[Fleet]:
    """Every process started; the workers receive notifications if there is a broker."""
    service = Service(environment, role=role)
    async with service:
        made = [Worker(service.environment, **({"module": module} if module else {})) for _ in range(workers)]
        try:
            for each in made:
                await each.start()
                if "CELERY_BROKER_URL" in environment:
                    await each.until_logged(AWAITED)
            async with Fleet(service, made, receiver) as whole:
                yield whole
        finally:
            for each in made:
                await each.close()
