"""Numbers in units that fit them: one for all that are compared, with as many decimals, so that their digits align."""

from collections.abc import Iterable
from dataclasses import dataclass

from answerback.benchmark.model import Spread

MILLISECONDS_BELOW = 10.0
"""Seconds: shorter times are shown in milliseconds."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` of them are one of the measure's own unit."""

    name: str
    factor: float
    decimals: int

    def show(self, value: float) -> str:
        return f"{value * self.factor:,.{self.decimals}f}"


def unit_of_times(spreads: Iterable[Spread | None]) -> Unit:
    """For times in seconds."""
    most = max((spread.max for spread in spreads if spread is not None), default=0.0)
    if most >= MILLISECONDS_BELOW:
        return Unit("s", 1, 1 if most >= 100 else 2)
    return Unit("ms", 1000, 0 if most >= 1 else 1 if most >= 0.1 else 2)


def unit_of_rates(spreads: Iterable[Spread | None]) -> Unit:
    """For tokens per second."""
    most = max((spread.max for spread in spreads if spread is not None), default=0.0)
    return Unit("1/s", 1, 0 if most >= 1000 else 1)


def duration(seconds: float) -> str:
    """One time by itself."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
