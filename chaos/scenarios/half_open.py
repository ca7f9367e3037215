"""Connections whose packets are dropped, not refused: first those to the database, then those to the broker.

New connections work, as after a firewall has lost its state; the old ones stay silent. Noticed means that no process
has any of them open any more, by the kernel's table, and that the rate is back.
"""

import asyncio
import time
from dataclasses import dataclass

from chaos.figures import Figures, seconds
from chaos.fleet import Fleet
from chaos.link import Link
from chaos.load import Paced
from chaos.rate import Pace, Recovery
from chaos.stage import staged
from chaos.waiting import until

CONVERSATIONS = 50
NOTICED_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """`calm` is the time before each silence and after the last, seconds."""

    pace: Pace
    calm: float


FULL = Size(Pace(40.0), calm=5.0)


async def run(fleet: Fleet, size: Size) -> Figures:
    silences: list[tuple[str, float, float | None]] = []
    async with staged(fleet) as stage:
        async with Paced(stage.client, size.pace, CONVERSATIONS):
            for what, link in (("database", fleet.database_link), ("broker", fleet.broker_link)):
                await asyncio.sleep(size.calm)
                since = time.monotonic()
                count = link.silence()
                silences.append((f"{count} to the {what}", since, await _noticed(link)))
            await asyncio.sleep(size.calm)
            await stage.recover(size.pace, silences[-1][1], NOTICED_WITHIN)
            ends = time.monotonic()
        verdict = await stage.settle()
        recovery = Recovery(
            [size.pace.back_after(stage.inbox.times, since, ends) for _, since, _ in silences], NOTICED_WITHIN
        )
        unnoticed = [what for what, _, took in silences if took is None]
        broken = [f"dead connections not noticed within {NOTICED_WITHIN:g} s: {', '.join(unnoticed)}"]
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"silent connections: {', '.join(f'{what} given up in {seconds(took)}' for what, _, took in silences)}",
            recovery.said,
            f"{stage.client.failed:,} requests tried again",
        )
        return Figures(said, (*verdict.broken, *recovery.broken, *(broken if unnoticed else ())))


async def _noticed(link: Link) -> float | None:
    async def given_up() -> bool:
        return link.held == 0

    return await until(given_up, NOTICED_WITHIN)
