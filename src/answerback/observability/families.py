"""Families of metrics, as they are made and as the reference shows them."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

T = TypeVar("T")


class Family(NamedTuple):
    """A metric as the reference shows it."""

    name: str
    kind: str
    labels: Sequence[str]
    meaning: str


class Value:
    """Of a counter or a gauge. The library's own would take four calls and a lock for each change; this is changed by
    one thread."""

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, by: float = 1.0) -> None:
        self.value += by

    def set(self, value: float) -> None:
        self.value = value


class Times:
    """How many times were within each of the `bounds`, in seconds, but in none before it; the last were in none."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.within = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.within[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Families:
    """Makes families in a registry. Each method returns what gives the child of so many label values; `made` are the
    families, in the order they were made in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.made: list[Family] = []

    def counter(self, name: str, meaning: str, *labels: str) -> Callable[..., Value]:
        return self._values(name, "counter", meaning, labels, CounterMetricFamily)

    def gauge(self, name: str, meaning: str, *labels: str) -> Callable[..., Value]:
        return self._values(name, "gauge", meaning, labels, GaugeMetricFamily)

    def times(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Callable[..., Times]:
        """`buckets` are in seconds."""
        name = self._note(f"{name}_seconds", "histogram", labels, meaning)
        bounds = [str(float(each)) for each in buckets] + ["+Inf"]

        def shown(children: "_Children[Times]") -> HistogramMetricFamily:
            metric = HistogramMetricFamily(name, meaning, labels=labels)
            for values, times in children:
                metric.add_metric(values, list(zip(bounds, accumulate(times.within), strict=True)), times.total)
            return metric

        return self._children(labels, lambda: Times(buckets), shown)

    def _values(
        self,
        name: str,
        kind: str,
        meaning: str,
        labels: Sequence[str],
        made: type[CounterMetricFamily] | type[GaugeMetricFamily],
    ) -> Callable[..., Value]:
        name = self._note(name, kind, labels, meaning)

        def shown(children: "_Children[Value]") -> CounterMetricFamily | GaugeMetricFamily:
            metric = made(name, meaning, labels=labels)
            for values, child in children:
                metric.add_metric(values, child.value)
            return metric

        return self._children(labels, Value, shown)

    def _children(
        self, labels: Sequence[str], make: Callable[[], T], shown: "Callable[[_Children[T]], Metric]"
    ) -> Callable[..., T]:
        children = _Children(make, shown)
        if not labels:
            children.child()
        self._registry.register(children)
        return lru_cache(maxsize=None)(children.child)

    def _note(self, name: str, kind: str, labels: Sequence[str], meaning: str) -> str:
        family = Family(f"answerback_{name}", kind, labels, meaning)
        self.made.append(family)
        return family.name


class _Children(Generic[T]):
    """Of one family, by their label values; the library collects them."""

    def __init__(self, make: Callable[[], T], shown: "Callable[[_Children[T]], Metric]") -> None:
        self._make = make
        self._shown = shown
        self._children: dict[tuple[str, ...], T] = {}

    def child(self, *values: str) -> T:
        return self._children.setdefault(values, self._make())

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], T]]:
        # A copy: another thread may collect while children are made.
        return iter(tuple(self._children.items()))

    def collect(self) -> Iterator[Metric]:
        yield self._shown(self)
