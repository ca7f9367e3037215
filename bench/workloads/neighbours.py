"""(j) A small tenant beside a big one, and alone: how much later the slowest hundredth of its acts ends."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

import aiohttp

from answerback.testing.ports import HOST
from bench.neighbours.backlogs import BACKLOGS, Backlog
from bench.neighbours.doubles import Doubles
from bench.neighbours.loads import SCENES, Scene
from bench.neighbours.tenant import Tenant, latencies, p50, p95, p99
from bench.stage import Stage
from bench.systems import KEY, answerback, worker
from bench.tools import CORES, BenchError

MOST_LATER_MS = 100.0
SETTLE_SECONDS = 2.0
WARM_ACTS = 100
BACKLOG_RATE = 100.0
"""Acts a second beside a backlog."""
OPERATOR = "operator-of-the-benchmark-0123456789"
WORKERS = 2

_names = count(1)


def run(stage: Stage) -> None:
    for database in ("SQLite", *(["PostgreSQL"] if stage.postgres else [])):
        for scene in SCENES:
            if stage.wants(f"{scene.name}, {database}"):
                _beside_load(stage, scene, database)
        for backlog in BACKLOGS:
            if stage.wants(f"{stage.plan.backlog:,} {backlog.name}, {database}"):
                _beside_backlog(stage, backlog, database)


def _beside_load(stage: Stage, scene: Scene, database: str) -> None:
    """In one service: alone, then beside."""
    alone, beside = asyncio.run(_play(stage, scene, database))
    what = f"p99 of another tenant beside {scene.name}, {database}"
    stage.results.add("j", f"{what}, alone", "Answerback", "ms", [p99(alone)])
    stage.results.add("j", what, "Answerback", "ms", [p99(beside)])
    later = p99(beside) - p99(alone)
    stage.results.aim("j", f"later beside {scene.name}, {database}", later, MOST_LATER_MS, unit="ms", more=False)


async def _play(stage: Stage, scene: Scene, database: str) -> tuple[list[float], list[float]]:
    acts = stage.plan.acts
    async with Doubles(stage.upstream.callback_url) as doubles:
        settings = dict(scene.settings)
        if scene.judged:
            settings["OPENROUTER_BASE_URL"] = doubles.url("/v1")
        with ExitStack() as stack:
            port = stack.enter_context(_service(stage, stack.enter_context(_place(stage, database)), settings))
            async with _tenants(port, doubles) as (big, small):

                async def act() -> None:
                    await scene.act(small)

                await latencies(act, acts // 4, scene.rate)
                alone = await latencies(act, acts, scene.rate)
                async with scene.load(big, doubles):
                    await asyncio.sleep(SETTLE_SECONDS)
                    return alone, await latencies(act, acts, scene.rate)


def _beside_backlog(stage: Stage, backlog: Backlog, database: str) -> None:
    """In turns of a service on an empty database and one on the backlog's."""
    name = f"{stage.plan.backlog:,} {backlog.name}, {database}"
    alone, beside, done = list[list[float]](), list[list[float]](), list[float]()
    with _place(stage, database) as empty, _place(stage, database) as filled:
        backlog.fill(stage, filled, stage.plan.backlog)
        for _ in range(stage.plan.turns):
            alone.append(asyncio.run(_messages(stage, empty)))
            waiting, began = backlog.left(filled), time.monotonic()
            beside.append(asyncio.run(_messages(stage, filled)))
            left = backlog.left(filled)
            done.append((waiting - left) / (time.monotonic() - began))
    if not left:
        raise BenchError(f"nothing is left of the backlog of {name}")
    stage.results.add("j", f"{name}: done beside", "Answerback", "/s", done)
    for quantile in (p50, p95, p99):
        what = f"{quantile.__name__} of another tenant beside {name}"
        stage.results.add("j", f"{what}, alone", "Answerback", "ms", [quantile(each) for each in alone])
        stage.results.add("j", what, "Answerback", "ms", [quantile(each) for each in beside])
    # Of all turns together: of one, the slowest hundredth is too few.
    times = p99(list(chain.from_iterable(beside))) / p99(list(chain.from_iterable(alone)))
    stage.results.aim("j", f"times as late beside {name}, p99 of all turns", times, backlog.most, more=False)


async def _messages(stage: Stage, database_url: str) -> list[float]:
    async with Doubles(stage.upstream.callback_url) as doubles:
        with _service(stage, database_url, {}) as port:
            async with _tenants(port, doubles) as (_, small):
                await latencies(small.message, WARM_ACTS, BACKLOG_RATE)
                return await latencies(small.message, stage.plan.acts_of_turn, BACKLOG_RATE)


@contextmanager
def _place(stage: Stage, database: str) -> Iterator[str]:
    """The URL of an empty database."""
    if database == "PostgreSQL":
        with stage.database() as url:
            yield url
        return
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as folder:
        yield f"sqlite:///{Path(folder) / 'answerback.db'}"


@contextmanager
def _service(stage: Stage, database_url: str, chosen: dict[str, Any]) -> Iterator[int]:
    """On SQLite one process; on PostgreSQL one that accepts, and workers."""
    settings = {"OPERATOR_TOKEN": OPERATOR, "WORKER_CONCURRENCY": "1000", **chosen}
    with ExitStack() as stack:
        if database_url.startswith("sqlite"):
            yield stack.enter_context(answerback(stage.upstream, database_url=database_url, **settings)).port
            return
        api = answerback(stage.upstream, role="api", database_url=database_url, cores=tuple(CORES), **settings)
        port = stack.enter_context(api).port
        for _ in range(WORKERS):
            stack.enter_context(worker(stage.upstream, database_url, **settings))
        yield port


@asynccontextmanager
async def _tenants(port: int, doubles: Doubles) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """The big one and a small one that is new."""
    async with aiohttp.ClientSession(f"http://{HOST}:{port}", connector=aiohttp.TCPConnector(limit=0)) as http:
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        async with http.post("/v1/keys", json={"name": f"small-{next(_names)}"}, headers=headers) as response:
            key: str = (await response.json())["key"]
        yield Tenant(http, KEY, doubles), Tenant(http, key, doubles)
