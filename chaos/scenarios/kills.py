"""SIGKILL of random API and worker processes, one after the other, under a load that never lets up."""

import asyncio
import random
from dataclasses import dataclass

from chaos.figures import Figures
from chaos.fleet import Fleet
from chaos.llm import after
from chaos.load import closed_loop
from chaos.stage import staged

CONVERSATIONS = 100
WINDOW = 200
LLM_MS = 50


@dataclass(frozen=True, slots=True)
class Size:
    jobs: int
    kills: int


FULL = Size(jobs=10_000, kills=100)
QUICK = Size(jobs=300, kills=4)


async def run(fleet: Fleet, size: Size) -> Figures:
    killed = {"API": 0, "worker": 0}
    async with staged(fleet) as stage:
        load = asyncio.create_task(
            closed_loop(stage.client, stage.inbox, size.jobs, CONVERSATIONS, WINDOW, lambda n: after(LLM_MS, str(n)))
        )
        for kill in range(size.kills):
            await stage.reach((kill + 1) * size.jobs // (size.kills + 2))
            process = random.choice(fleet.processes)
            killed["API" if process in fleet.apis else "worker"] += 1
            await process.kill()
            await process.start()
        await load
        verdict = await stage.settle()
        repeated = len(stage.ledger.arrivals) - stage.heard
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"{killed['API']} API and {killed['worker']} worker processes killed",
            f"{stage.llm_calls() - size.jobs:,} LLM calls and {repeated:,} callbacks made again",
        )
        return Figures(said, verdict.broken)
