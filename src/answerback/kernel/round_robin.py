"""Items of several tenants, taken in turn: of each tenant that has some as many as it weighs, then of the next.

A tenant that had none comes before those that had their turn already, so that it waits for nobody's backlog; it is new
again only once every other has had a turn since, so that asking for little at a time gains nothing. Every step takes
the same time, however many wait. T. Høiland-Jørgensen et al.: The Flow Queue CoDel Packet Scheduler, RFC 8290.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class RoundRobin(Generic[T]):
    """Each tenant's items keep their order. Items are compared by identity or hash, and no two are equal. `weight` is
    that of a tenant now, 1 at least."""

    def __init__(self, weight: Callable[[str], int] = lambda _: 1) -> None:
        self._weight = weight
        self._left: dict[str, int] = {}
        """How many more the tenants whose turn goes on may have in it."""
        self._items: dict[str, OrderedDict[T, None]] = {}
        """Of each tenant that is in one of the two rows, perhaps none."""
        self._new: deque[str] = deque()
        self._served: deque[str] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def of(self, tenant_id: str) -> int:
        """How many items the tenant has."""
        return len(self._items.get(tenant_id, ()))

    @property
    def tenants(self) -> int:
        """How many tenants take turns."""
        return len(self._items)

    def add(self, tenant_id: str, item: T) -> None:
        if (items := self._items.get(tenant_id)) is None:
            items = self._items[tenant_id] = OrderedDict()
            self._new.append(tenant_id)
        items[item] = None
        self._size += 1

    def remove(self, tenant_id: str, item: T) -> None:
        """Does nothing if the item was taken."""
        if (items := self._items.get(tenant_id)) is not None and item in items:
            del items[item]
            self._shrink()

    def take(self, may: Callable[[str], bool] | None = None) -> tuple[str, T] | None:
        """The tenant whose turn it is, and its first item; None if no tenant that `may` has any."""
        for row in (self._new, self._served):
            for _ in range(len(row)):
                tenant_id = row.popleft()
                items = self._items[tenant_id]
                if not items:
                    del self._items[tenant_id]
                    self._left.pop(tenant_id, None)
                elif may is None or may(tenant_id):
                    self._serve(tenant_id)
                    item, _ = items.popitem(last=False)
                    self._shrink()
                    return tenant_id, item
                else:
                    row.append(tenant_id)
        return None

    def _serve(self, tenant_id: str) -> None:
        left = self._left.pop(tenant_id, None) or self._weight(tenant_id)
        if left > 1:
            self._left[tenant_id] = left - 1
            self._served.appendleft(tenant_id)
        else:
            self._served.append(tenant_id)

    def _shrink(self) -> None:
        self._size -= 1
        if not self._size:
            for empty in (self._items, self._left, self._new, self._served):
                empty.clear()
