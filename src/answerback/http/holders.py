"""Who holds memory for how long, and who of them is cut where all hold too much."""

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Holder(Hashable, Protocol):
    def abort(self) -> None:
        """Ends it, so that it holds nothing more."""


@dataclass(slots=True)
class Held:
    """How many bytes, for which client (an address), and since when it has not moved."""

    client: str
    size: int
    since: float


H = TypeVar("H", bound=Holder)
V = TypeVar("V", bound=Held)


class Holders(Generic[H, V]):
    """Those of one sort, in the order in which they came."""

    def __init__(self) -> None:
        self._held: dict[H, V] = {}
        self._of_client: Counter[str] = Counter()
        self.size = 0
        """What all of them hold."""

    def __iter__(self) -> Iterator[tuple[H, V]]:
        return iter(self._held.items())

    def get(self, holder: H) -> V | None:
        return self._held.get(holder)

    def add(self, holder: H, held: V) -> None:
        self._held[holder] = held
        self._count(held.client, held.size)

    def move(self, held: V, more: int, now: float) -> None:
        """One of them holds so many bytes more now, or less."""
        held.size += more
        held.since = now
        self._count(held.client, more)

    def remove(self, holder: H) -> None:
        if (held := self._held.pop(holder, None)) is not None:
            self._count(held.client, -held.size)

    def cut(self, still_since: float) -> bool:
        """Ends the one that came first of the client that holds most, among those that have not moved since then; false
        if there is none."""
        still = [each for each in self._held.items() if each[1].since <= still_since]
        if not still:
            return False
        holder, _ = max(still, key=lambda each: self._of_client[each[1].client])
        self.remove(holder)
        holder.abort()
        return True

    def _count(self, client: str, more: int) -> None:
        self.size += more
        self._of_client[client] += more
        if not self._of_client[client]:
            del self._of_client[client]
