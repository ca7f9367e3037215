"""What a scenario measured, and which promises it saw broken."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 18


@dataclass(frozen=True, slots=True)
class Figures:
    """`said` are the figures, `broken` what was promised and not kept; `seconds` is how long it took."""

    said: Sequence[str]
    broken: Sequence[str] = ()


def line(name: str, figures: Figures, seconds: float) -> str:
    """One line for people: what broke comes first, since a terminal may cut the end."""
    verdict = "FAILED" if figures.broken else "ok"
    return f"{verdict:<6}  {name:<{WIDTH}}  {'; '.join((*figures.broken, *figures.said))}  [{seconds:.0f} s]"


def seconds(value: float | None) -> str:
    """A time to recover; None is one that did not come."""
    return "never" if value is None else f"{value:.1f} s"


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all lies at or below (nearest rank). There must be one."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
