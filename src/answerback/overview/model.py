"""What goes on, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from answerback.kernel.telemetry import ANSWERED, Depth
from answerback.kernel.values import quickly_made

ALL_TENANTS = ""
"""Stands for the id of a tenant where all are meant together."""

NO_FAILURE = frozenset({ANSWERED, "cancelled"})
"""Outcomes that nobody needs to look into."""

MINUTE_MS = 60_000
DAY_MINUTES = 1440
SHOWN_MINUTES = 60


class Slot(NamedTuple):
    """What jobs are counted under; `minute` is in minutes since the epoch."""

    tenant_id: str
    minute: int
    outcome: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Count:
    """Jobs that ended, and the tokens of their answers; `calls` of the jobs are calls whose clients waited."""

    jobs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0

    def __add__(self, more: "Count") -> "Count":
        return Count(
            self.jobs + more.jobs,
            self.prompt_tokens + more.prompt_tokens,
            self.completion_tokens + more.completion_tokens,
            self.calls + more.calls,
        )


@dataclass(frozen=True, slots=True)
class Minute:
    """The jobs that ended in one minute; `at` is its beginning in epoch milliseconds."""

    at: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What waits in the database now, and how jobs ended: `minutes` are the last ones, oldest first and the current one
    last, `failures` those of 24 hours by error code, `failed_calls` how many of these were calls whose clients waited,
    `today` what answers cost since midnight, UTC."""

    depth: Depth
    minutes: Sequence[Minute]
    failures: Mapping[str, int]
    today: Count
    failed_calls: Mapping[str, int]


def last_minutes(ended: Mapping[tuple[int, str], int], now: int) -> Sequence[Minute]:
    """From the jobs by minute and outcome; `now` is the current minute."""
    made = []
    for minute in range(now - SHOWN_MINUTES + 1, now + 1):
        by_outcome = {outcome: jobs for (at, outcome), jobs in ended.items() if at == minute}
        failed = sum(jobs for outcome, jobs in by_outcome.items() if outcome not in NO_FAILURE)
        made.append(Minute(minute * MINUTE_MS, by_outcome.get(ANSWERED, 0), failed))
    return made
