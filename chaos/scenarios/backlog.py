"""50,000 callbacks owed to a receiver that never answers: what that costs the others.

The backlog is written into the database as the relay leaves one: every callback pending and due, at one origin.
Stretches with and without it alternate in one run; how much those without differ among themselves is printed beside it.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass

from answerback.testing import Receiver, behaviours
from answerback.webhooks.model import origin_of
from chaos.figures import Figures, quantile
from chaos.fleet import Fleet
from chaos.llm import after
from chaos.load import Paced
from chaos.rate import Pace
from chaos.stage import Stage, staged

CONVERSATIONS = 200
LLM_MS = 100
MOVED_AT_MOST = 0.10
SETTLE_SECONDS = 10.0

OWE = """
WITH owed AS (
  INSERT INTO jobs (id, tenant_id, kind, queue, priority, rank, state, run_at, deadline_at, callback_url, args,
    attempts, attempts_made, attempt, lease_epoch, lease_losses, created_at, finished_at)
  SELECT 'job_backlog' || n, 'default', 'message', 'interactive', 0, $2::bigint, 'completed', $2::bigint,
    $2::bigint + 86400000, $3::text, '{}', '[]', 1, 1, 1, 0, $2::bigint, $2::bigint
  FROM generate_series(1, $1::int) n RETURNING id
)
INSERT INTO deliveries (id, job_id, event_type, destination, tenant_id, url, origin, body, state, run_at, attempt,
  attempts, attempts_made, lease_epoch, deadline_at, created_at)
SELECT 'msg_' || id, id, 'message.completed', 'url_' || left(encode(sha256(convert_to($3::text, 'UTF8')), 'hex'), 32),
  'default', $3::text, $4::text, '{}', 'pending', $2::bigint, 0, '[]', 0, 0, $2::bigint + 86400000 * 7, $2::bigint
FROM owed
"""
FORGIVE = (
    "DELETE FROM deliveries WHERE starts_with(job_id, 'job_backlog')",
    "DELETE FROM jobs WHERE starts_with(id, 'job_backlog')",
    "VACUUM deliveries, jobs",
)


@dataclass(frozen=True, slots=True)
class Size:
    """`stretch` is how long each stretch is, seconds; half of the `stretches` have the backlog."""

    backlog: int
    pace: Pace
    stretches: int
    stretch: float


FULL = Size(backlog=50_000, pace=Pace(30.0), stretches=8, stretch=40.0)


async def run(fleet: Fleet, size: Size) -> Figures:
    calm: list[list[float]] = []
    burdened: list[list[float]] = []
    async with Receiver() as dead, staged(fleet) as stage:
        dead.on("/", behaviours.delayed(asyncio.Event()))
        async with Paced(stage.client, size.pace, CONVERSATIONS, lambda n: after(LLM_MS, str(n))):
            for lags, owe in itertools.islice(itertools.cycle(((calm, False), (burdened, True))), size.stretches):
                if owe:
                    await _owe(fleet, dead.url("/"), size.backlog)
                await asyncio.sleep(SETTLE_SECONDS)
                lags.append(await _stretch(stage, size.stretch))
                if owe:
                    await _forgive(fleet)
        verdict = await stage.settle()
    before, after_it = _p99(calm), _p99(burdened)
    moved = after_it / before - 1
    noise = abs(_p99(calm[::2]) / _p99(calm[1::2]) - 1)
    broken = [f"p99 moved by {moved:+.0%}"] if moved >= MOVED_AT_MOST else []
    said = (
        f"{len(verdict.records):,} messages of others, {verdict.said}",
        f"p99 {before * 1000:.0f} ms without, {after_it * 1000:.0f} ms with {size.backlog:,} owed to a dead receiver"
        f" ({moved:+.1%}; two halves of the stretches without differ by {noise:.1%})",
        f"p50 {_p50(calm) * 1000:.0f} and {_p50(burdened) * 1000:.0f} ms",
        f"p99 by stretch {_each(calm)} and {_each(burdened)} ms",
        f"{len(dead.callbacks):,} attempts at the dead one",
    )
    return Figures(said, (*verdict.broken, *broken))


async def _stretch(stage: Stage, seconds: float) -> list[float]:
    """The lags of what was sent meanwhile."""
    since = time.monotonic()
    await asyncio.sleep(seconds)
    until = time.monotonic()
    await stage.reach(len(stage.ledger.accepted), 30.0)
    lags = stage.ledger.lags
    return [lags[id] for id, entry in stage.ledger.accepted.items() if since <= entry.at < until and id in lags]


async def _owe(fleet: Fleet, url: str, count: int) -> None:
    now = int(time.time() * 1000)
    await fleet.books.rows(OWE, count, now, url, origin_of(url))


async def _forgive(fleet: Fleet) -> None:
    for statement in FORGIVE:
        await fleet.books.rows(statement)


def _p99(stretches: list[list[float]]) -> float:
    return quantile([lag for stretch in stretches for lag in stretch], 0.99)


def _p50(stretches: list[list[float]]) -> float:
    return quantile([lag for stretch in stretches for lag in stretch], 0.50)


def _each(stretches: list[list[float]]) -> str:
    return ", ".join(f"{_p99([stretch]) * 1000:.0f}" for stretch in stretches)
