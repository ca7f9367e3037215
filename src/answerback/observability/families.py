"""Families of metrics, as they are made and as the reference shows them."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

T = TypeVar("T", Counter, Gauge, Histogram)


class Family(NamedTuple):
    """A metric as the reference shows it."""

    name: str
    kind: str
    labels: Sequence[str]
    meaning: str


class Families:
    """Makes families in a registry. Each method returns what gives the child of so many label values; `made` are the
    families, in the order they were made in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.made: list[Family] = []

    def counter(self, name: str, meaning: str, *labels: str) -> Callable[..., Counter]:
        name = self._note(name, "counter", labels, meaning)
        return _children(Counter(name, meaning, labels, registry=self._registry))

    def gauge(self, name: str, meaning: str, *labels: str) -> Callable[..., Gauge]:
        name = self._note(name, "gauge", labels, meaning)
        return _children(Gauge(name, meaning, labels, registry=self._registry))

    def times(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Callable[..., Histogram]:
        """`buckets` are in seconds."""
        name = self._note(f"{name}_seconds", "histogram", labels, meaning)
        return _children(Histogram(name, meaning, labels, registry=self._registry, buckets=buckets))

    def _note(self, name: str, kind: str, labels: Sequence[str], meaning: str) -> str:
        family = Family(f"answerback_{name}", kind, labels, meaning)
        self.made.append(family)
        return family.name


def _children(family: T) -> Callable[..., T]:
    """The family's children by label values, looked up faster than the library does."""
    return lru_cache(maxsize=None)(lambda *values: family.labels(*values) if values else family)
