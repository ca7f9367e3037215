"""Shares of a pool whose places cannot be taken back, as the slots of a worker or the threads that look up names.

A share "while others wait" would come too late: slots of a slow job are free again when it ends. So some are always
left: a tenant takes one only while it holds fewer than `factor` times the free ones. Alone it gets four fifths at a
factor of 4, and a newcomer always finds some free. A. K. Choudhury, E. L. Hahne: Dynamic queue length thresholds for
shared-memory packet switches, IEEE/ACM Transactions on Networking 6(2), 1998.
"""

import math
from collections.abc import Callable


class Shares:
    """Who holds how many of `capacity` places, some of which are `kept` for others now."""

    def __init__(self, capacity: int, factor: float, kept: Callable[[], int] = int) -> None:
        self._capacity = capacity
        self._factor = factor
        self._kept = kept
        self._held: dict[str, int] = {}
        self.taken = 0

    @property
    def free(self) -> int:
        return max(0, self._capacity - self._kept() - self.taken)

    def admits(self, tenant_id: str) -> bool:
        """Whether the tenant may take one more."""
        free = self.free
        return free > 0 and self._held.get(tenant_id, 0) < self._factor * free

    def allowance(self, tenant_id: str) -> int:
        """How many more the tenant may take, if no other takes any meanwhile."""
        # The n-th more is taken while held + n - 1 < factor * (free - (n - 1)).
        room = self._factor * self.free - self._held.get(tenant_id, 0)
        return max(0, min(math.ceil(room / (self._factor + 1)), self.free))

    @property
    def least(self) -> int:
        """The allowance of the tenant that holds most: every other may take at least as many."""
        return self.allowance(max(self._held, key=self._held.__getitem__, default=""))

    def take(self, tenant_id: str, places: int = 1) -> None:
        self._held[tenant_id] = self._held.get(tenant_id, 0) + places
        self.taken += places

    def give(self, tenant_id: str, places: int = 1) -> None:
        self.taken -= places
        if left := self._held[tenant_id] - places:
            self._held[tenant_id] = left
        else:
            del self._held[tenant_id]

    def copy(self) -> "Shares":
        """To plan with."""
        kept = self._kept()
        copied = Shares(self._capacity, self._factor, lambda: kept)
        copied._held, copied.taken = self._held.copy(), self.taken
        return copied


def with_batch(capacity: int, factor: float) -> tuple[Shares, Shares]:
    """The shares of interactive and of batch work in the same places.

    Batch work gets half of what interactive work leaves, so that an interactive burst finds the other half free; and a
    twentieth of all, one at least, on top, so that it never stands still.
    """
    on_top = max(1, capacity // 20)

    def lent_to_batch() -> int:
        return max(0, batch.taken - on_top)

    def kept_for_interactive() -> int:
        return (capacity + interactive.taken + 1) // 2

    interactive = Shares(capacity, factor, lent_to_batch)
    batch = Shares(capacity + on_top, factor, kept_for_interactive)
    return interactive, batch
