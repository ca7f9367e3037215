"""A receiver that is down for 24 hours, then back with a backlog owed to it: everything arrives, at its pace.

The hours are simulated: whenever nothing is left to do, the times of all owed callbacks move into the past, as if
those hours had gone by; the workers, whose circuit breakers count real seconds, are restarted with each step.
"""

import asyncio
import time
from bisect import bisect_left
from dataclasses import dataclass

from aiohttp import web

from answerback.testing import behaviours
from chaos.figures import Figures
from chaos.fleet import STOP_SECONDS, Fleet
from chaos.inbox import Inbox
from chaos.load import closed_loop
from chaos.stage import PATH, Stage, staged
from chaos.waiting import until

HOUR_MS = 3_600_000
DOWN_HOURS = 24
MORE_HOURS = 48
"""The most that may pass until the last callback: the schedule's own waits grow to 20 hours in that time."""
QUIET_SECONDS = 180.0
IDLE_SECONDS = 3.0
"""How long no attempt must have been made before the next hours pass; deliveries themselves take real time."""
BUSIEST_SECONDS = 5.0

PASS = """
UPDATE deliveries SET run_at = deliveries.run_at - $2, deadline_at = deliveries.deadline_at - $2,
  created_at = deliveries.created_at - $2, unreached_at = deliveries.unreached_at - $2
FROM jobs WHERE jobs.id = deliveries.job_id AND starts_with(jobs.idempotency_key, $1)
AND deliveries.state IN ('pending', 'held')
"""
ACTIVITY = """
SELECT count(*) FILTER (WHERE deliveries.id IS NULL OR deliveries.state = 'sending'),
  coalesce(sum(deliveries.attempts_made), 0)::bigint
FROM jobs LEFT JOIN deliveries ON deliveries.job_id = jobs.id WHERE starts_with(jobs.idempotency_key, $1)
"""
MOST_ATTEMPTS = """
SELECT max(deliveries.attempt) FROM deliveries JOIN jobs ON jobs.id = deliveries.job_id
WHERE starts_with(jobs.idempotency_key, $1)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """`rate` is what the receiver takes, callbacks a second; `step` how many hours one step simulates."""

    jobs: int
    rate: float
    step: int


FULL = Size(jobs=1_000, rate=50.0, step=2)


class OneAtATime:
    """A receiver that handles one callback after the other, `rate` a second; the others wait for it."""

    def __init__(self, inbox: Inbox, rate: float) -> None:
        self._inbox = inbox
        self._seconds = 1 / rate
        self._busy = asyncio.Lock()
        self.came: list[float] = []
        self.waiting = 0
        self.most_waiting = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.came.append(time.monotonic())
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            async with self._busy:
                await asyncio.sleep(self._seconds)
                return await self._inbox.take(request)
        finally:
            self.waiting -= 1

    @property
    def busiest(self) -> float:
        """The most callbacks a second that came in any five seconds."""
        ends = [bisect_left(self.came, each + BUSIEST_SECONDS) for each in self.came]
        return max(end - start for start, end in enumerate(ends)) / BUSIEST_SECONDS


async def run(fleet: Fleet, size: Size) -> Figures:
    async with staged(fleet) as stage:
        stage.receiver.on(PATH, behaviours.hang_up())
        await closed_loop(stage.client, stage.inbox, size.jobs, conversations=size.jobs // 4, window=size.jobs)
        hours = 0
        while hours < DOWN_HOURS:
            hours += await _pass_hours(stage, size.step)
        owed = size.jobs - stage.heard
        slow = OneAtATime(stage.inbox, size.rate)
        stage.receiver.on(PATH, slow.take)
        while stage.heard < size.jobs and hours < DOWN_HOURS + MORE_HOURS:
            hours += await _pass_hours(stage, size.step)
        verdict = await stage.settle()
        again = len(slow.came) - owed
        broken = [
            *([f"{slow.busiest:.0f} callbacks a second came"] if slow.busiest > size.rate else ()),
            *([f"{again} came again: too many waited at the receiver"] if again else ()),
        ]
        attempts = await fleet.books.value(MOST_ATTEMPTS, stage.ledger.prefix)
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"{owed:,} callbacks owed after {DOWN_HOURS} simulated hours, all delivered by hour {hours}",
            f"at most {attempts} attempts each",
            f"receiver takes {size.rate:g}/s, {slow.busiest:.0f}/s came in the busiest five seconds",
            f"{slow.most_waiting} waited at the receiver at most",
        )
        return Figures(said, (*verdict.broken, *broken))


async def _pass_hours(stage: Stage, hours: int) -> int:
    """Waits until no attempt is made any more; then simulates so many hours. Returns them."""
    seen, since = -1, time.monotonic()

    async def quiet() -> bool:
        nonlocal seen, since
        under_way, made = (await stage.fleet.books.rows(ACTIVITY, stage.ledger.prefix))[0]
        if under_way or made != seen:
            seen, since = made, time.monotonic()
        return time.monotonic() - since >= IDLE_SECONDS

    await until(quiet, QUIET_SECONDS)
    await stage.fleet.books.rows(PASS, stage.ledger.prefix, hours * HOUR_MS)
    await asyncio.gather(*(_restart(stage.fleet, n) for n in range(len(stage.fleet.workers))))
    return hours


async def _restart(fleet: Fleet, n: int) -> None:
    await fleet.workers[n].terminate(STOP_SECONDS)
    await fleet.workers[n].start()
