"""What a run measured, and how that compares with its targets."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

PORTKEY_WHERE_SET = 932.0
"""Chat completions a second of Portkey on the machine on which the absolute targets were set (913 to 952)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`workload` is its letter; `values` are one for each round."""

    workload: str
    what: str
    system: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        return f"{shown(min(self.values))} to {shown(max(self.values))}" if len(self.values) > 1 else ""


@dataclass(frozen=True, slots=True)
class Target:
    """At least `must` where `more`, else at most. A ratio decides the exit code: it does not depend on the machine."""

    workload: str
    what: str
    measured: float
    must: float
    go_for: float | None
    unit: str
    more: bool
    ratio: bool = False

    @property
    def reached(self) -> bool:
        return self._is(self.must)

    def reached_at(self, pace: float) -> bool | None:
        """Whether it is reached with what it is `at` that pace; None where pace does not matter."""
        must = self.at(pace)
        return None if must is None else self._is(must)

    def at(self, pace: float) -> float | None:
        """What it must be on a machine of that pace; None for what does not depend on it."""
        match self.unit:
            case "/s":
                return self.must * pace
            case "ms" | "s":
                return self.must / pace
            case _:
                return None

    @property
    def verdict(self) -> str:
        if self.go_for is not None and self._is(self.go_for):
            return "better"
        return "reached" if self.reached else "short"

    def _is(self, wanted: float) -> bool:
        return self.measured >= wanted if self.more else self.measured <= wanted


@dataclass(slots=True)
class Results:
    """Filled by the workloads, in their order. `absent` are peers and workloads that were not measured, and why."""

    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, workload: str, what: str, system: str, unit: str, values: Sequence[float]) -> Figure:
        figure = Figure(workload, what, system, unit, tuple(values))
        self.figures.append(figure)
        print(f"  ({workload}) {what}: {system}: {shown(figure.median)} {unit} {figure.spread}", flush=True)
        return figure

    def aim(
        self,
        workload: str,
        what: str,
        measured: float,
        must: float,
        go_for: float | None = None,
        unit: str = "",
        *,
        more: bool,
        ratio: bool = False,
    ) -> None:
        target = Target(workload, what, measured, must, go_for, unit, more, ratio)
        self.targets.append(target)
        sign = "≥" if more else "≤"
        print(
            f"  ({workload}) {what}: {shown(measured)} {unit}, target {sign} {shown(must)}: {target.verdict}",
            flush=True,
        )

    @property
    def pace(self) -> float | None:
        """How fast this machine is beside the one on which the absolute targets were set, by what Portkey does on
        both. None where Portkey was not measured."""
        for each in self.figures:
            if (each.system, each.what) == ("Portkey", "requests a second, upstream of 0 ms"):
                return each.median / PORTKEY_WHERE_SET
        return None

    @property
    def failed(self) -> list[Target]:
        return [target for target in self.targets if target.ratio and not target.reached]


def shown(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
