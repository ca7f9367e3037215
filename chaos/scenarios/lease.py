"""Why the lease matters: the same load and the same kills of workers on plain Celery with `acks_late`, and on ours."""

import asyncio
import contextlib
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from answerback.testing.process import inherited
from chaos import plain_celery
from chaos.figures import Figures
from chaos.fleet import ROOT, WORKERS, Fleet
from chaos.llm import after
from chaos.scenarios.kills import Size, strike
from chaos.stage import staged
from chaos.waiting import until

LLM_MS = int(plain_celery.LLM_SECONDS * 1000)
GIVEN_BACK_SECONDS = 30.0
FINISH_SECONDS = 120.0
CELERY = ("celery", "-q", "-A", "chaos.plain_celery", "worker", "-P", "threads", "-c", "8", "-l", "ERROR")


FULL = Size(jobs=6_000, kills=60)


@dataclass(frozen=True, slots=True)
class Left:
    """What plain Celery has not done: `stuck` is still in Redis, `lost` is nowhere."""

    stuck: int
    lost: int


async def run(fleet: Fleet, size: Size) -> Figures:
    left = await _plain(fleet, size)
    async with staged(fleet) as stage:
        await strike(stage, size, fleet.workers, lambda n: after(LLM_MS, str(n)))
        verdict = await stage.settle()
        said = (
            f"{size.jobs:,} jobs and {size.kills} workers killed: Celery with acks_late lost {left.lost:,}"
            f" ({left.stuck:,} more are stuck)",
            f"ours none: {verdict.said}",
        )
        return Figures(said, verdict.broken)


async def _plain(fleet: Fleet, size: Size) -> Left:
    """Runs the tasks on three Celery workers, of which a random one is killed and started again as work goes on."""
    url = fleet.broker.url.removesuffix("/0") + "/2"
    variables = {**inherited(), "PLAIN_REDIS_URL": url}
    async with contextlib.AsyncExitStack() as kept:
        redis = kept.enter_context(Redis.from_url(url))

        async def finished(count: int, patience: float) -> None:
            async def enough() -> bool:
                return _count(redis.scard(plain_celery.DONE)) >= count

            await until(enough, patience)

        publishing = await _python(variables, "chaos.plain_celery", str(size.jobs))
        await publishing.wait()
        workers = [await _python(variables, *CELERY) for _ in range(WORKERS)]
        kept.push_async_callback(_kill, workers)
        for kill in range(size.kills):
            await finished((kill + 1) * size.jobs // (size.kills + 2), FINISH_SECONDS)
            which = random.randrange(WORKERS)
            await _kill([workers[which]])
            workers[which] = await _python(variables, *CELERY)

        async def idle() -> bool:
            return _stuck(redis) == 0

        await until(idle, FINISH_SECONDS)
        await finished(size.jobs, GIVEN_BACK_SECONDS)
        missing = size.jobs - _count(redis.scard(plain_celery.DONE))
        stuck = min(missing, _stuck(redis))
        return Left(stuck, missing - stuck)


def _stuck(redis: "Redis") -> int:
    """Messages that wait, or that a worker has taken and not acknowledged."""
    return _count(redis.llen(plain_celery.QUEUE)) + _count(redis.hlen("unacked"))


def _count(answer: object) -> int:
    """The library's types allow for its asynchronous twin."""
    assert isinstance(answer, int)
    return answer


async def _python(variables: Mapping[str, str], module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", module, *arguments),
        cwd=ROOT,
        env=dict(variables),
        stdout=asyncio.subprocess.DEVNULL,
    )


async def _kill(processes: Sequence[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.returncode is not None:
            raise RuntimeError(f"a Celery worker ended by itself, with code {process.returncode}")
        process.kill()
        await process.wait()
