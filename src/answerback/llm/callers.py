"""Which tenants called an upstream lately, so that a tenant leaves some of what is short to the others.

A caller who waits for an answer reserves nothing, and finds nothing where another tenant holds all. Queued calls wait
in their rows: where nobody waits for an answer, none is left.
"""

import math

LATELY = 300.0
"""For so many seconds after a call its tenant finds some of what is short left."""


class Callers:
    """Times are seconds of one monotonic clock. `slot_factor` is that of `kernel/shares.py`."""

    def __init__(self, slot_factor: float) -> None:
        self._slot_factor = slot_factor
        self._waited: dict[str, float] = {}
        self._queued: dict[str, float] = {}
        """When each tenant last wanted to call, and waited for the answer, or had it queued. The latest is last."""

    def note(self, tenant_id: str, now: float, *, queued: bool) -> None:
        lately = self._queued if queued else self._waited
        lately.pop(tenant_id, None)
        lately[tenant_id] = now
        for each in (self._waited, self._queued):
            while each and each[oldest := next(iter(each))] <= now - LATELY:
                del each[oldest]

    def factor(self, tenant_id: str) -> float:
        """The tenant begins a call only while it has begun fewer than so many times those that are left."""
        waits = tenant_id in self._waited
        others = _others(self._waited, tenant_id) or (waits and _others(self._queued, tenant_id))
        return self._slot_factor if others else math.inf


def _others(lately: dict[str, float], tenant_id: str) -> bool:
    return len(lately) > (tenant_id in lately)
