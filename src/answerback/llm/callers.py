"""Which tenants called an upstream lately, so that a tenant leaves some of what is short to the others.

A caller who waits for an answer reserves nothing, and finds nothing where another tenant holds all. Queued calls wait
in their rows: where nobody waits for an answer, none is left.
"""

import math

from answerback.kernel.lately import Lately

LATELY = 300.0
"""For so many seconds after a call its tenant finds some of what is short left."""


class Callers:
    """Times are seconds of one monotonic clock. `slot_factor` is that of `kernel/shares.py`."""

    def __init__(self, slot_factor: float) -> None:
        self._slot_factor = slot_factor
        self._waited, self._queued = Lately(LATELY), Lately(LATELY)
        """Those who wanted to call, and waited for the answer, or had it queued."""

    def note(self, tenant_id: str, now: float, *, queued: bool) -> None:
        noted, other = (self._queued, self._waited) if queued else (self._waited, self._queued)
        noted.note(tenant_id, now)
        other.forget(now)

    def factor(self, tenant_id: str) -> float:
        """The tenant begins a call only while it has begun fewer than so many times those that are left."""
        waits = tenant_id in self._waited
        others = self._waited.has_others(tenant_id) or (waits and self._queued.has_others(tenant_id))
        return self._slot_factor if others else math.inf
