"""The broker flushed, killed and started again under load: notifications are lost, jobs are not."""

import asyncio
import socket
import time
from collections import Counter
from dataclasses import dataclass

from chaos.figures import Figures
from chaos.fleet import Fleet, Kind
from chaos.load import Paced
from chaos.rate import Pace, Recovery
from chaos.stage import staged

CONVERSATIONS = 50
BACK_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """`down` is how long the broker is away, `calm` how long each trouble is watched, seconds."""

    pace: Pace
    rounds: int
    down: float
    calm: float


FULL = Size(Pace(60.0), rounds=3, down=5.0, calm=10.0)
QUICK = Size(Pace(25.0), rounds=1, down=1.0, calm=2.0)


async def run(fleet: Fleet, size: Size) -> Figures:
    async with staged(fleet) as stage:
        troubles: list[tuple[str, float]] = []
        async with Paced(stage.client, size.pace, CONVERSATIONS):
            await asyncio.sleep(size.calm / 2)
            for _ in range(size.rounds):
                if fleet.kind is Kind.REDIS:
                    flush(fleet.broker.port)
                    troubles.append(("FLUSHALL", time.monotonic()))
                    await asyncio.sleep(size.calm)
                troubles.append(("kill", time.monotonic()))
                await asyncio.to_thread(fleet.broker.kill)
                await asyncio.sleep(size.down)
                await asyncio.to_thread(fleet.broker.restart)
                await asyncio.sleep(size.calm)
            await stage.recover(size.pace, troubles[-1][1], BACK_WITHIN)
            ends = time.monotonic()
        verdict = await stage.settle()
        recovery = Recovery([size.pace.back_after(stage.inbox.times, each, ends) for _, each in troubles], BACK_WITHIN)
        kinds = Counter(what for what, _ in troubles)
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"{', '.join(f'{count} times {what}' for what, count in kinds.items())} at {size.pace.rate:g} messages/s",
            f"{recovery.said}, nothing restarted",
            f"{stage.client.failed:,} requests tried again",
        )
        return Figures(said, (*verdict.broken, *recovery.broken))


def flush(port: int) -> None:
    """Empties a Redis."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        connection.recv(16)
