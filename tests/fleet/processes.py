"""A fleet under test: routes in one process, worker pools in others, one database, perhaps a broker."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp

from answerback.testing import FakeLLM, Receiver, Service, Worker
from surroundings import SECRET

CELERY = ("celery", "-A", "answerback.worker", "worker", "-P", "threads")
AWAITED = '"notifications_awaited"'
"""In a worker's log once for each time that it began to receive notifications."""
NOTIFIED_SECONDS = 5.0
"""For ten messages, each found by a notification, on a busy machine; polling takes ten."""


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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        """The seconds until as many messages were delivered, each posted when the one before was.

        Found by polling alone, each would take about a second.
        """
        began = time.monotonic()
        for n in range(messages):
            already = len(self.receiver.callbacks)
            await self.post(f"m{n}")
            await self.receiver.wait_for(already + 1, timeout=30)
        return time.monotonic() - began


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
