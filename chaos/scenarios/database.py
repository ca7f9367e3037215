"""PostgreSQL killed with all its processes and started again every few seconds: every 202 survives."""

import asyncio
import time
from dataclasses import dataclass

from chaos.figures import Figures
from chaos.fleet import Fleet
from chaos.load import Paced
from chaos.rate import Pace, Recovery
from chaos.stage import staged

CONVERSATIONS = 50
BACK_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Size:
    """`calm` is the time between a restart and the next kill, seconds."""

    pace: Pace
    kills: int
    calm: float


FULL = Size(Pace(60.0), kills=10, calm=6.0)
QUICK = Size(Pace(25.0), kills=1, calm=3.0)


async def run(fleet: Fleet, size: Size) -> Figures:
    async with staged(fleet) as stage:
        async with Paced(stage.client, size.pace, CONVERSATIONS):
            await asyncio.sleep(size.calm / 2)
            kills = []
            for _ in range(size.kills):
                kills.append(time.monotonic())
                await asyncio.to_thread(fleet.database.kill)
                await asyncio.to_thread(fleet.database.restart)
                await asyncio.sleep(size.calm)
            await stage.recover(size.pace, kills[-1], BACK_WITHIN)
            ends = time.monotonic()
        verdict = await stage.settle()
        recovery = Recovery([size.pace.back_after(stage.inbox.times, each, ends) for each in kills], BACK_WITHIN)
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"PostgreSQL killed {size.kills} times at {size.pace.rate:g} messages/s, {recovery.said}",
            f"{stage.client.failed:,} requests tried again",
        )
        return Figures(said, (*verdict.broken, *recovery.broken))
