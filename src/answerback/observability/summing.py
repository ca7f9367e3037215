"""The figures of several processes as one."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Metric

Sample: TypeAlias = tuple[str, list[tuple[str, str]], float]
"""Its name, its labels in order, its value."""
Family: TypeAlias = tuple[str, str, str, list[Sample]]
"""Its name, its meaning, its type, its samples."""
Figures: TypeAlias = list[Family]
"""All of a process's metrics, in a form that JSON keeps but for its tuples, which become lists."""

SUMMED_GAUGES = frozenset(
    {"answerback_processes", "process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds"}
)
EARLIEST = "process_start_time_seconds"
COUNTS = frozenset({"counter", "histogram"})


def figures(registry: CollectorRegistry) -> Figures:
    return [
        (
            metric.name,
            metric.documentation,
            metric.type,
            [(sample.name, list(sample.labels.items()), sample.value) for sample in metric.samples],
        )
        for metric in registry.collect()
    ]


def counts(of: Figures) -> Figures:
    """What stays true when the process has ended: gauges do not."""
    return [family for family in of if family[2] in COUNTS]


def summed(each: Iterable[Figures]) -> Figures:
    """Counters and histograms are added, and so is what processes hold (memory, descriptors). Any other gauge is the
    first's that has it, for the database or Redis is the same for all."""
    families: dict[str, tuple[str, str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]] = {}
    for name, meaning, kind, samples in (family for one in each for family in one):
        values = families.setdefault(name, (meaning, kind, {}))[2]
        for sample, labels, value in samples:
            key = sample, tuple((label, text) for label, text in labels)
            values[key] = _together(name, kind, values[key], value) if key in values else value
    return [
        (name, meaning, kind, [(sample, list(labels), value) for (sample, labels), value in values.items()])
        for name, (meaning, kind, values) in families.items()
    ]


def _together(name: str, kind: str, one: float, other: float) -> float:
    if kind in COUNTS or name in SUMMED_GAUGES:
        return one + other
    return min(one, other) if name == EARLIEST else one


class Shown:
    """Figures, as the library's exposition reads a registry."""

    def __init__(self, of: Figures) -> None:
        self._figures = of

    def collect(self) -> Iterator[Metric]:
        for name, meaning, kind, samples in self._figures:
            metric = Metric(name, meaning, kind)
            for sample, labels, value in samples:
                metric.add_sample(sample, dict(labels), value)
            yield metric
