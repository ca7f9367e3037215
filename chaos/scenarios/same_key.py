"""One message under one idempotency key, posted to both API processes by thousands of concurrent requests: one job."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from chaos.figures import Figures
from chaos.fleet import Fleet
from chaos.ledger import Accepted
from chaos.stage import PATH, Stage, staged


@dataclass(frozen=True, slots=True)
class Size:
    posts: int


FULL = Size(posts=10_000)
QUICK = Size(posts=500)


async def run(fleet: Fleet, size: Size) -> Figures:
    async with staged(fleet) as stage:
        began = time.monotonic()
        named = Counter(await asyncio.gather(*(_post(stage, began) for _ in range(size.posts))))
        took = time.monotonic() - began
        verdict = await stage.settle()
        jobs = len(verdict.records)
        broken = [
            *([f"{jobs} jobs for one key"] if jobs != 1 else ()),
            *([f"202s that name {len(named)} jobs"] if len(named) != 1 else ()),
        ]
        said = (
            f"{size.posts:,} concurrent POSTs under one key, answered in {took:.1f} s: {jobs} job, {verdict.said}",
            f"{stage.llm_calls()} LLM call, {stage.client.failed:,} requests tried again",
        )
        return Figures(said, (*verdict.broken, *broken))


async def _post(stage: Stage, began: float) -> str:
    """The job that the 202 names."""
    key = f"{stage.ledger.prefix}same"
    body = {"message": key, "callback_url": stage.receiver.url(PATH), "stateless": True}
    while (said := await stage.client.post(body, key)) is None:
        pass
    stage.ledger.accept(Accepted(said["job_id"], key, None, None, began))
    return str(said["job_id"])
