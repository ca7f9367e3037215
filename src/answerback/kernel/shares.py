"""Shares of a pool whose places cannot be taken back, as the slots of a worker or the threads that look up names.

A share "while others wait" would come too late: slots of a slow job are free again when it ends. So some are always
left: a tenant takes one only while it holds fewer than `factor` times the free ones. Alone it gets four fifths at a
factor of 4, and a newcomer always finds some free. Beside a heavier tenant that holds places, a tenant's factor is
smaller by their weights: the two hold places as they weigh.

A. K. Choudhury, E. L. Hahne: Dynamic queue length thresholds for shared-memory packet switches, IEEE/ACM Transactions
on Networking 6(2), 1998.
"""

import math
from collections.abc import Callable, Container, Mapping, Sequence

SLOT_FACTOR = 4.0
"""That of TENANT_SLOT_FACTOR where nothing is set."""


class Weights:
    """The weights of the tenants that weigh more than 1, as they were last read."""

    def __init__(self) -> None:
        self._of: Mapping[str, int] = {}

    def set(self, of: Mapping[str, int]) -> None:
        """Replaces them all. `of` is not changed afterwards: other threads read it."""
        self._of = of

    def of(self, tenant_id: str) -> int:
        return self._of.get(tenant_id, 1)

    def among(self, tenant_ids: Container[str]) -> Sequence[str]:
        return [each for each in self._of if each in tenant_ids]

    def share(self, tenant_id: str, others: Container[str]) -> float:
        """The tenant's weight, as a part of the largest among it and the others."""
        of = self._of
        if not of:
            return 1.0
        own = of.get(tenant_id, 1)
        return own / max((weight for each, weight in of.items() if weight > own and each in others), default=own)


class Shares:
    """Who holds how many of `capacity` places, some of which are `kept` for others now. `factor` is that of all
    tenants, or says each tenant's now."""

    def __init__(
        self,
        capacity: int,
        factor: float | Callable[[str], float],
        kept: Callable[[], int] = int,
        weights: Weights | None = None,
    ) -> None:
        self._capacity = capacity
        self._factor = factor
        self._kept = kept
        self._weights = Weights() if weights is None else weights
        self.weight_of = self._weights.of
        self._held: dict[str, int] = {}
        self.taken = 0

    @property
    def free(self) -> int:
        return max(0, self._capacity - self._kept() - self.taken)

    def admits(self, tenant_id: str, promised: int = 0) -> bool:
        """Whether the tenant may take one more, besides the free ones that are promised."""
        free = self.free
        return free > promised and self._held.get(tenant_id, 0) < self._factor_of(tenant_id) * free

    def allowance(self, tenant_id: str) -> int:
        """How many more the tenant may take, if no other takes any meanwhile."""
        # The n-th more is taken while held + n - 1 < factor * (free - (n - 1)).
        factor = self._factor_of(tenant_id)
        room = factor * self.free - self._held.get(tenant_id, 0)
        return max(0, min(math.ceil(room / (factor + 1)), self.free))

    @property
    def least(self) -> int:
        """The smallest allowance: every tenant may take at least as many."""
        weighted = self._weights.among(self._held)
        # Of those that weigh 1, the one that holds most may take the fewest.
        light = max((each for each in self._held if each not in weighted), key=self._held.__getitem__, default="")
        return min(map(self.allowance, (light, *weighted)))

    def _factor_of(self, tenant_id: str) -> float:
        factor = self._factor(tenant_id) if callable(self._factor) else self._factor
        return factor * self._weights.share(tenant_id, self._held)

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
        copied = Shares(self._capacity, self._factor, lambda: kept, self._weights)
        copied._held, copied.taken = self._held.copy(), self.taken
        return copied


def with_batch(capacity: int, factor: float, weights: Weights | None = None) -> tuple[Shares, Shares]:
    """The shares of interactive and of batch work in the same places.

    Batch work gets half of what interactive work leaves, so that an interactive burst finds the other half free; and a
    twentieth of all, one at least, on top, so that it never stands still.
    """
    on_top = max(1, capacity // 20)

    def lent_to_batch() -> int:
        return max(0, batch.taken - on_top)

    def kept_for_interactive() -> int:
        return (capacity + interactive.taken + 1) // 2

    interactive = Shares(capacity, factor, lent_to_batch, weights)
    batch = Shares(capacity + on_top, factor, kept_for_interactive, weights)
    return interactive, batch
