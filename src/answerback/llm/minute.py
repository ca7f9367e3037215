"""The calls of a minute, which tenants share: each by the factor that `callers` says, as in `kernel/shares.py`."""

import math
from collections import Counter, deque

from answerback.llm.callers import Callers

SECONDS = 60.0
RATE_SPACING = 1.02
"""Factor on 60 s ÷ calls a minute; above 1, so that a call made a moment late does not count against the slot a minute
later."""


class Minute:
    """Counts up to `per_minute` calls in any 60 s; times are seconds of one monotonic clock."""

    def __init__(self, per_minute: int, callers: Callers) -> None:
        self._per_minute = per_minute
        self._callers = callers
        self._starts: deque[tuple[float, str]] = deque()
        self._begun: Counter[str] = Counter()

    def opens_at(self, tenant_id: str, now: float) -> float | None:
        """When the tenant may begin its next call, if no other begins one meanwhile; None: now."""
        self._forget(now)
        factor = self._callers.factor(tenant_id)
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
        factor = self._callers.factor(tenant_id)
        return all_taken if factor == math.inf else all_taken * (1 + 1 / factor)

    def _forget(self, now: float) -> None:
        while self._starts and self._starts[0][0] <= now - SECONDS:
            _, tenant_id = self._starts.popleft()
            self._begun[tenant_id] -= 1
            if not self._begun[tenant_id]:
                del self._begun[tenant_id]
