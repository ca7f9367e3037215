"""How long a run measures: in full, or in a few minutes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds are of a load; `rounds` are how often each system is started and measured, in turn."""

    rounds: int
    seconds: float
    delays_ms: tuple[int, ...]
    jobs: int
    """Of a run of complete jobs."""
    in_flight: int
    finished: tuple[int, int, int]
    """Rows of finished jobs in the database, in three sizes."""
    queued: int
    requests: int
    """After which memory is compared."""
    acts: int
    """Of a tenant beside another one."""
    backlog: int
    """What another tenant has waiting."""
    turns: int
    """Of a tenant alone, and beside that."""
    acts_of_turn: int


FULL = Plan(
    rounds=3,
    seconds=5.0,
    delays_ms=(0, 5, 50),
    jobs=10_000,
    in_flight=10_000,
    finished=(1_000, 100_000, 1_000_000),
    queued=100_000,
    requests=1_000_000,
    acts=200,
    backlog=50_000,
    turns=8,
    acts_of_turn=1_000,
)
QUICK = Plan(
    rounds=1,
    seconds=2.0,
    delays_ms=(0,),
    jobs=1_000,
    in_flight=1_000,
    finished=(1_000, 10_000, 50_000),
    queued=5_000,
    requests=5_000,
    acts=40,
    backlog=2_000,
    turns=1,
    acts_of_turn=200,
)
