"""SIGKILL of random API and worker processes, each in the middle of a load."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from answerback.testing.process import Process
from chaos.figures import Figures
from chaos.fleet import Fleet
from chaos.llm import after
from chaos.load import closed_loop
from chaos.stage import Stage, staged

CONVERSATIONS = 50
WINDOW = 200
LLM_MS = 200


@dataclass(frozen=True, slots=True)
class Size:
    jobs: int
    kills: int


FULL = Size(jobs=10_000, kills=100)
QUICK = Size(jobs=320, kills=4)


async def run(fleet: Fleet, size: Size) -> Figures:
    async with staged(fleet) as stage:
        killed = await strike(stage, size, fleet.processes, lambda n: after(LLM_MS, str(n)))
        verdict = await stage.settle()
        workers = sum(process in fleet.workers for process in killed)
        repeated = len(stage.ledger.arrivals) - stage.heard
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"{len(killed) - workers} API and {workers} worker processes killed",
            f"{stage.llm_calls() - size.jobs:,} LLM calls and {repeated:,} callbacks made again",
        )
        return Figures(said, verdict.broken)


async def strike(stage: Stage, size: Size, victims: Sequence[Process], text: Callable[[int], str]) -> Sequence[Process]:
    """Sends the jobs in as many portions as there are kills; when a third of a portion is called back, one of the
    victims is killed, and started again. Returns the killed processes."""
    portion = size.jobs // size.kills
    killed = []
    for n in range(size.kills):
        load = asyncio.create_task(
            closed_loop(
                stage.client, stage.inbox, portion, CONVERSATIONS, WINDOW, partial(_numbered, text, n * portion)
            )
        )
        await stage.reach(n * portion + portion // 3)
        process = random.choice(victims)
        await process.kill()
        await process.start()
        await load
        killed.append(process)
    return killed


def _numbered(text: Callable[[int], str], first: int, number: int) -> str:
    return text(first + number)
