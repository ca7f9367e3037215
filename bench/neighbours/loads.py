"""What a big tenant does while a small one is measured: one load for each pool that all share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bench.neighbours.doubles import Doubles
from bench.neighbours.tenant import Tenant
from bench.systems import model
from bench.tools import BenchError

Load: TypeAlias = Callable[[Tenant, Doubles], AbstractAsyncContextManager[None]]

SLOW_JOBS, SLOW_LLM_MS = 20_000, 10_000
SLOW_FILES = DEAD_NAMES = 1_000
SILENT_RECEIVERS, SILENT_CALLBACKS = 20, 4_000
LISTS, LISTED = 50, 10_000
CALLERS, PLACES, CALL_MS = 200, 20, 300
QUERIES = ("status=failed", "kind=review", "session_id=none", "delivery=dead", "status=completed", "limit=100")


@asynccontextmanager
async def slow_jobs(big: Tenant, doubles: Doubles) -> AsyncIterator[None]:
    slow, url = model(SLOW_LLM_MS), doubles.ignored
    jobs = [
        {"message": "Hello", "session_id": f"slow-{number}", "model": slow, "callback_url": url}
        for number in range(SLOW_JOBS)
    ]
    await big.post_many("/webhook", jobs)
    yield


@asynccontextmanager
async def slow_files(big: Tenant, doubles: Doubles) -> AsyncIterator[None]:
    reviews = [
        {
            "submission_id": f"slow-{number}",
            "file_refs": [{"url": doubles.url(f"/slow/{number}")}],
            "webhook_url": doubles.ignored,
        }
        for number in range(SLOW_FILES)
    ]
    await big.post_many("/v1/reviews", reviews)
    yield


@asynccontextmanager
async def dead_names(big: Tenant, doubles: Doubles) -> AsyncIterator[None]:
    """All at once: the 202 of such a review waits for its name."""

    async def send(number: int) -> None:
        refs = [{"url": f"http://dead{number}.test/essay"}]
        review = {"submission_id": f"dead-{number}", "file_refs": refs, "webhook_url": doubles.ignored}
        with contextlib.suppress(BenchError):
            await big.post("/v1/reviews", review)

    async with _beside(send(number) for number in range(DEAD_NAMES)):
        yield


@asynccontextmanager
async def silent_receivers(big: Tenant, doubles: Doubles) -> AsyncIterator[None]:
    urls = [await doubles.silent_receiver() for _ in range(SILENT_RECEIVERS)]
    jobs = [
        {"message": "Hello", "session_id": f"silent-{number}", "callback_url": urls[number % SILENT_RECEIVERS]}
        for number in range(SILENT_CALLBACKS)
    ]
    await big.post_many("/webhook", jobs)
    yield


@asynccontextmanager
async def lists(big: Tenant, doubles: Doubles) -> AsyncIterator[None]:
    url = doubles.ignored
    jobs = [{"message": "Hello", "session_id": f"listed-{n}", "callback_url": url} for n in range(LISTED)]
    await big.post_many("/webhook", jobs)

    async def ask(number: int) -> None:
        await big.get(f"/v1/jobs?{QUERIES[number % len(QUERIES)]}")

    async def burst() -> None:
        await asyncio.gather(*(ask(number) for number in range(LISTS)))
        await asyncio.sleep(0.5)

    async with _again(burst):
        yield


@asynccontextmanager
async def many_callers(big: Tenant, doubles: Doubles) -> AsyncIterator[None]:  # noqa: ARG001
    async def call() -> None:
        await big.chat(CALL_MS)

    async with _again(call, CALLERS):
        yield


@asynccontextmanager
async def _again(act: Callable[[], Awaitable[None]], times: int = 1) -> AsyncIterator[None]:
    """So many of them, each again and again."""

    async def repeat() -> None:
        while True:
            await act()

    async with _beside(repeat() for _ in range(times)):
        yield


@asynccontextmanager
async def _beside(running: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in running]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True, slots=True)
class Scene:
    """A load, what the small tenant does beside it, and what the service is set to."""

    name: str
    load: Load
    act: Callable[[Tenant], Awaitable[None]]
    rate: float = 15.0
    judged: bool = False
    """Its LLM answers with what it thinks of an essay."""
    settings: Mapping[str, str] = field(default_factory=dict)


SCENES = (
    Scene(f"{SLOW_JOBS:,} jobs on a {SLOW_LLM_MS // 1000}-second LLM", slow_jobs, Tenant.message),
    Scene(f"{SLOW_FILES:,} reviews of slow files", slow_files, Tenant.review, judged=True),
    Scene(
        f"{DEAD_NAMES:,} reviews of dead names",
        dead_names,
        Tenant.named_message,
        settings={"PYTHONPATH": str(Path(__file__).parent / "names")},
    ),
    Scene(f"{SILENT_CALLBACKS:,} callbacks to silent receivers", silent_receivers, Tenant.message),
    Scene(f"{LISTS} lists of {LISTED:,} jobs at once", lists, Tenant.message),
    Scene(
        f"{CALLERS} callers of {PLACES} places",
        many_callers,
        lambda small: small.chat(CALL_MS),
        settings={"UPSTREAM_CONCURRENCY": str(PLACES)},
    ),
)
