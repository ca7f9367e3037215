"""The calls of a minute, which tenants share.

Queued calls of several tenants keep to slots that each reserves (see `limiter`). A caller who waits for an answer
reserves nothing, and may make in a second as many calls as the minute has. So where such callers are among those who
called lately, a tenant begins a call only while it has begun fewer than so many times those that are left, as in
`kernel/shares.py`. A tenant that is alone has them all.
"""

import math
from collections import Counter, deque

SECONDS = 60.0
RATE_SPACING = 1.02
"""Factor on 60 s ÷ calls a minute; above 1, so that a call made a moment late does not count against the slot a minute
later."""
LATELY = 300.0
"""For so many seconds after a call its tenant finds some of the minute's calls left."""


class Minute:
    """Counts up to `per_minute` calls in any 60 s; times are seconds of one monotonic clock."""

    def __init__(self, per_minute: int, slot_factor: float) -> None:
        self._per_minute = per_minute
        self._slot_factor = slot_factor
        self._starts: deque[tuple[float, str]] = deque()
        self._begun: Counter[str] = Counter()
        self._waited: dict[str, float] = {}
        self._queued: dict[str, float] = {}
        """When each tenant last wanted to call, and waited for the answer, or had it queued. The latest is last."""

    def opens_at(self, tenant_id: str, now: float, *, queued: bool) -> float | None:
        """When the tenant may begin its next call, if no other begins one meanwhile; None: now."""
        self._forget(now)
        lately = self._queued if queued else self._waited
        lately.pop(tenant_id, None)
        lately[tenant_id] = now
        others = self._others_wait(tenant_id) or (not queued and _others(self._queued, tenant_id))
        factor = self._slot_factor if others else math.inf
        left, begun = self._per_minute - len(self._starts), self._begun[tenant_id]
        if left and begun < factor * left:
            return None
        for began, of in self._starts:
            left, begun = left + 1, begun - (of == tenant_id)
            if begun < factor * left:
                return began + SECONDS
        return None

    def begin(self, tenant_id: str, now: float) -> None:
        self._starts.append((now, tenant_id))
        self._begun[tenant_id] += 1

    def spacing(self, tenant_id: str) -> float:
        """Seconds between the slots that queued calls reserve, where they leave to others what is theirs."""
        all_taken = RATE_SPACING * SECONDS / self._per_minute
        return all_taken * (1 + 1 / self._slot_factor) if self._others_wait(tenant_id) else all_taken

    def _others_wait(self, tenant_id: str) -> bool:
        return _others(self._waited, tenant_id)

    def _forget(self, now: float) -> None:
        while self._starts and self._starts[0][0] <= now - SECONDS:
            _, tenant_id = self._starts.popleft()
            self._begun[tenant_id] -= 1
            if not self._begun[tenant_id]:
                del self._begun[tenant_id]
        for lately in (self._waited, self._queued):
            while lately and lately[oldest := next(iter(lately))] <= now - LATELY:
                del lately[oldest]


def _others(lately: dict[str, float], tenant_id: str) -> bool:
    return len(lately) > (tenant_id in lately)
