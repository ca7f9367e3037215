"""Workers whose clocks are ten minutes ahead and behind: leases are the database's, so nothing changes."""

from dataclasses import dataclass

from chaos.figures import Figures
from chaos.fleet import LEASE_SECONDS, ROOT, Fleet
from chaos.llm import after
from chaos.load import closed_loop
from chaos.stage import staged

OFFSETS = (600, -600)
LONG_MS = LEASE_SECONDS * 1_500
EVERY = 5
"""Every fifth message takes the LLM one and a half leases, so that its worker must extend the lease."""

ATTEMPTS = """
SELECT
  coalesce(sum((SELECT count(*) FROM jsonb_array_elements(attempts) each WHERE each ->> 'status' = 'lost')), 0)::bigint,
  coalesce(sum(attempts_made), 0)::bigint
FROM jobs WHERE starts_with(idempotency_key, $1)
"""


@dataclass(frozen=True, slots=True)
class Size:
    jobs: int


FULL = Size(jobs=2_000)
QUICK = Size(jobs=60)


async def run(fleet: Fleet, size: Size) -> Figures:
    skewed = [{"PYTHONPATH": str(ROOT / "chaos" / "skew"), "CLOCK_OFFSET_SECONDS": str(offset)} for offset in OFFSETS]
    await fleet.replace_workers([*skewed, {}])
    async with staged(fleet) as stage:
        await closed_loop(stage.client, stage.inbox, size.jobs, conversations=size.jobs, window=100, text=_text)
        verdict = await stage.settle()
        lost, claims = (await fleet.books.rows(ATTEMPTS, stage.ledger.prefix))[0]
        calls = stage.llm_calls()
        broken = [
            *([f"{lost} leases lost early"] if lost else ()),
            *([f"{claims - size.jobs} jobs claimed twice"] if claims > size.jobs else ()),
            *([f"{calls - size.jobs} LLM calls too many"] if calls > size.jobs else ()),
        ]
        said = (
            f"{len(stage.ledger.accepted):,} accepted, {verdict.said}",
            f"{claims:,} claims, {calls:,} LLM calls, {lost} leases lost, clocks 600 s ahead, 600 s behind and right",
        )
        return Figures(said, (*verdict.broken, *broken))


def _text(number: int) -> str:
    return after(LONG_MS, str(number)) if number % EVERY == 0 else str(number)
