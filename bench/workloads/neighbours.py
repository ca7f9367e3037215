"""(j) A small tenant beside a big one, and alone: how much later the slowest hundredth of its acts ends."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import aiohttp

from answerback.testing.ports import HOST
from bench.neighbours.doubles import Doubles
from bench.neighbours.loads import SCENES, Scene
from bench.neighbours.tenant import Tenant, latencies, p99
from bench.stage import Stage
from bench.systems import KEY, answerback, worker
from bench.tools import CORES

MOST_LATER_MS = 100.0
SETTLE_SECONDS = 2.0
OPERATOR = "operator-of-the-benchmark-0123456789"
WORKERS = 2


def run(stage: Stage) -> None:
    for database in ("SQLite", *(["PostgreSQL"] if stage.postgres else [])):
        for scene in SCENES:
            alone, beside = asyncio.run(_play(stage, scene, database))
            what = f"p99 of another tenant beside {scene.name}, {database}"
            stage.results.add("j", f"{what}, alone", "Answerback", "ms", [p99(alone)])
            stage.results.add("j", what, "Answerback", "ms", [p99(beside)])
            later = p99(beside) - p99(alone)
            stage.results.aim(
                "j", f"later beside {scene.name}, {database}", later, MOST_LATER_MS, unit="ms", more=False
            )


async def _play(stage: Stage, scene: Scene, database: str) -> tuple[list[float], list[float]]:
    acts = stage.plan.acts
    async with Doubles() as doubles:
        with _service(stage, scene, database, doubles) as port:
            base = f"http://{HOST}:{port}"
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(base, connector=connector) as http:
                big = Tenant(http, KEY, doubles)
                small = Tenant(http, await _new_key(http), doubles)

                async def act() -> None:
                    await scene.act(small)

                await latencies(act, acts // 4, scene.rate)
                alone = await latencies(act, acts, scene.rate)
                async with scene.load(big, doubles):
                    await asyncio.sleep(SETTLE_SECONDS)
                    return alone, await latencies(act, acts, scene.rate)


@contextmanager
def _service(stage: Stage, scene: Scene, database: str, doubles: Doubles) -> Iterator[int]:
    """On SQLite one process; on PostgreSQL one that accepts, and workers."""
    settings: dict[str, Any] = {
        "OPERATOR_TOKEN": OPERATOR,
        "OPENROUTER_BASE_URL": doubles.url("/v1"),
        "LLM_MODEL": "ms-0",
        "WORKER_CONCURRENCY": "1000",
        **scene.settings,
    }
    with ExitStack() as stack:
        if database == "SQLite":
            yield stack.enter_context(answerback(stage.upstream, **settings)).port
            return
        url = stack.enter_context(stage.database())
        api = answerback(stage.upstream, role="api", database_url=url, cores=tuple(CORES), **settings)
        port = stack.enter_context(api).port
        for _ in range(WORKERS):
            stack.enter_context(worker(stage.upstream, url, **settings))
        yield port


async def _new_key(http: aiohttp.ClientSession) -> str:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    async with http.post("/v1/keys", json={"name": "small"}, headers=headers) as response:
        key: str = (await response.json())["key"]
        return key
