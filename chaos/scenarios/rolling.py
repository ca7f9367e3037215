"""A rolling restart of every process under load: each is asked to stop, waited for and started again."""

import asyncio
from dataclasses import dataclass

from chaos.figures import Figures
from chaos.fleet import STOP_SECONDS, Fleet
from chaos.llm import after
from chaos.load import Paced
from chaos.rate import Pace
from chaos.stage import staged

CONVERSATIONS = 50
LLM_MS = 300

CONSUMED = """
SELECT count(*) FROM jobs JOIN deliveries ON deliveries.job_id = jobs.id
WHERE starts_with(jobs.idempotency_key, $1) AND (jobs.attempt > 1 OR deliveries.attempt > 1 OR jobs.lease_losses > 0)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """In each of the `rounds` every `every`-th process is restarted."""

    pace: Pace
    rounds: int
    every: int


FULL = Size(Pace(60.0), rounds=3, every=1)
QUICK = Size(Pace(20.0), rounds=1, every=4)


async def run(fleet: Fleet, size: Size) -> Figures:
    async with staged(fleet) as stage:
        async with Paced(stage.client, size.pace, CONVERSATIONS, lambda n: after(LLM_MS, str(n))):
            restarted = 0
            for _ in range(size.rounds):
                for process in fleet.processes[:: size.every]:
                    await process.terminate(STOP_SECONDS)
                    await process.start()
                    restarted += 1
            await asyncio.sleep(1.0)
        verdict = await stage.settle()
        client = stage.client
        consumed = await fleet.books.value(CONSUMED, stage.ledger.prefix)
        broken = [
            *([f"requests cut off: {dict(client.cut)}"] if client.cut else ()),
            *([f"requests declined: {dict(client.declined)}"] if client.declined else ()),
            *([f"{consumed} attempts consumed"] if consumed else ()),
        ]
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"{restarted} processes restarted at {size.pace.rate:g} messages/s",
            f"{client.failed} requests failed, {client.refused} connections went to the other API process",
            f"{stage.llm_calls() - len(stage.ledger.accepted)} LLM calls made again",
        )
        return Figures(said, (*verdict.broken, *broken))
