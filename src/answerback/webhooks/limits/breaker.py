"""How much each origin is called: a concurrency limit, a congestion window, and a circuit breaker.

An origin whose breaker has just closed, or whose delivery due first is late, starts with one attempt at a time
(`congestion_window.py`), and one that refuses even these is called at intervals (`pacing.py`). It is full when as many
attempts are in flight as its window admits.

closed ──5 failures──▶ open ──a pause──▶ half-open (one probe)
   ▲                     ▲                   │
   └──────response───────┼───────────────────┤
                         └──────failure──────┘

A failure during which the origin answered another attempt is none of the origin.

After the first failure already, and until a response, one delivery that could not be reached is tried before its turn
each time that a pause is over: nobody waits for a step of the schedule when the outage is over. A pause is a part of
the outage so far.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from answerback.webhooks.limits.congestion_window import CongestionWindow
from answerback.webhooks.limits.pacing import Pacing
from answerback.webhooks.model import OriginKey, OriginRoom
from answerback.webhooks.sending.outcome import AttemptEnd

CAP = 64
"""How many attempts may be in flight at an origin at most."""
FAILURES_TO_OPEN = 5
OUTAGE_SHARE = 0.25
"""A pause is this part of the time since the first failure,"""
SHORTEST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
HANG_PAUSES = 15
"""and so many times what the attempt took, if that is longer: those that hang would take up workers."""
PATIENCE_SECONDS = 1.0
"""Each second in which no attempt ends lets one more begin than the window admits: attempts that hang must not keep the
others waiting."""
SHORTEST_RECOVERY = 30.0
"""An origin that answers after a failure has recovered: what waits because it could not be reached is due, until none
of that is left. A recovery lasts this long at least, since attempts from before may still fail."""
RECOVERY_SPACING = 300.0
"""If its breaker did not open, an origin recovers from failures at most once in this time: a path that hangs must not
be tried each time that another path answers."""
FORGET_AFTER = 900.0
"""Seconds after which an idle origin is forgotten."""
MAX_ORIGINS = 10_000


def pause_after(outage: float, seconds: float) -> float:
    """Seconds between a failure and the next probe, in an outage of so many seconds, after an attempt that took
    `seconds`."""
    return max(HANG_PAUSES * seconds, SHORTEST_PAUSE, min(OUTAGE_SHARE * outage, LONGEST_PAUSE))


@dataclass(slots=True)
class _Origin:
    moved_at: float
    """When an attempt last ended, or began where none was in flight."""
    window: CongestionWindow
    pacing: Pacing = field(default_factory=Pacing)
    answered: int = 0
    answered_at: float = float("-inf")
    in_flight: int = 0
    reserved: int = 0
    """Of these, those of which it is not known yet whether they begin."""
    behind: bool = False
    """A delivery that might have been born claimed found others due in front of it."""
    failures: int = 0
    failing_since: float = 0.0
    failed_at: float = 0.0
    probes_at: float = 0.0
    probing: bool = False
    recovered_at: float = float("-inf")
    recovering: bool = False
    recovers_from: float = float("-inf")
    """Failures that did not open the breaker are recovered from after this."""

    @property
    def size(self) -> int:
        """How many attempts it admits at once."""
        return 1 if self.pacing.interval else self.window.size

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN


class CircuitBreakers:
    """Implements `Origins` as arithmetic over a monotonic clock: no tasks, no timers, no I/O."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._origins: OrderedDict[OriginKey, _Origin] = OrderedDict()

    def __len__(self) -> int:
        """How many origins are remembered."""
        return len(self._origins)

    def look(self, key: OriginKey, late: bool = False, unreached: bool = False) -> OriginRoom:
        now = self._monotonic()
        state = self._origins.get(key)
        if state is None:
            return OriginRoom(1 if late else CAP, probes=unreached)
        opens_at = max(state.probes_at if state.open else now, state.pacing.begins_at)
        if now < opens_at:
            return OriginRoom(0, opens_in=opens_at - now)
        free = self._free(state, 1 if late and self._is_new(state) else state.size, now)
        if state.open and free:
            return OriginRoom(free, probes_only=True)
        recovered_for = now - state.recovered_at if state.recovering else None
        return OriginRoom(free, recovered_for=recovered_for, probes=self._may_probe(state, now, unreached))

    def is_open(self, key: OriginKey) -> bool:
        state = self._origins.get(key)
        return state is not None and state.open

    def reserve(self, key: OriginKey) -> bool:
        now = self._monotonic()
        state = self._find(key, now)
        if state.open or now < state.pacing.begins_at or not self._free(state, state.size, now):
            return False
        if state.behind and state.reserved:
            # All others would hold places meanwhile that the claim of those in front needs. One finds out.
            return False
        self._enter(state, now)
        state.reserved += 1
        return True

    def give_back(self, key: OriginKey, *, behind: bool = False) -> bool:
        now = self._monotonic()
        state = self._find(key, now)
        was_full = not self._free(state, state.size, now)
        state.in_flight -= 1
        state.reserved -= 1
        state.behind = state.behind or behind
        return was_full and self._free(state, state.size, now) > 0

    def began(self, key: OriginKey, late: bool = False, early: bool = False, *, reserved: bool = False) -> None:
        now = self._monotonic()
        state = self._find(key, now)
        if late and self._is_new(state):
            state.window = CongestionWindow(CAP, now)
        if reserved:
            state.reserved -= 1
            state.behind = False
        else:
            state.probing = state.open or (early and not state.recovering)
            self._enter(state, now)
        state.window.began_one(state.in_flight - 1)

    def ended(
        self, key: OriginKey, end: AttemptEnd, seconds: float, path: str = "", retry_after: float | None = None
    ) -> bool:
        now = self._monotonic()
        state = self._origins.get(key)
        if state is None:
            return False
        was_full = not self._free(state, state.size, now)
        state.moved_at = now
        state.in_flight = max(0, state.in_flight - 1)
        match end:
            case AttemptEnd.ANSWERED:
                state.window.answered(seconds, now)
                state.pacing.answered(path, seconds, now)
                self._answered(state, now)
            case AttemptEnd.BUSY:
                one_at_a_time = state.size == 1
                if state.window.busy(seconds, now) and one_at_a_time:
                    state.pacing.refused(path, retry_after, now)
                self._answered(state, now)
            case AttemptEnd.UNREACHED:
                state.window.unreached(seconds, now)
                self._failed(state, now, seconds)
            case AttemptEnd.CANCELLED:
                state.probing = state.probing and not self._is_probe(state, now, seconds)
            case _:
                assert_never(end)
        return (was_full or state.recovered_at == now) and self._free(state, state.size, now) > 0

    def answers_again(self, tenant_id: str, origin: str | None = None) -> None:
        """Somebody says that it may, or that all of the tenant's origins may: the next probe is due."""
        now = self._monotonic()
        for key, state in self._origins.items():
            if key.tenant_id == tenant_id and origin in (None, key.origin):
                state.probes_at = min(state.probes_at, now)

    def drained(self, key: OriginKey) -> None:
        state = self._origins.get(key)
        if state is not None and self._monotonic() - state.recovered_at >= SHORTEST_RECOVERY:
            state.recovering = False

    @staticmethod
    def _enter(state: _Origin, now: float) -> None:
        if not state.in_flight:
            state.moved_at = now
        state.in_flight += 1

    def _free(self, state: _Origin, size: int, now: float) -> int:
        if state.open:
            return 0 if now < state.probes_at or state.probing else 1
        # One attempt that hangs says nothing of the others; only several that hang show that an origin is dead.
        hanging = int((now - state.moved_at) / PATIENCE_SECONDS) if state.in_flight else 0
        return max(0, min(size + hanging, CAP) - state.in_flight)

    def _is_new(self, state: _Origin) -> bool:
        """Whether the origin has answered too seldom to know what it takes."""
        return state.answered < CAP and state.window.untried

    @staticmethod
    def _may_probe(state: _Origin, now: float, unreached: bool) -> bool:
        """Whether a delivery that could not be reached may be tried before its turn. Of an origin that this process has
        not called yet, only the row knows."""
        failing = unreached if not state.answered and not state.failures else state.failures > 0
        return failing and not state.in_flight and now >= state.probes_at

    def _answered(self, state: _Origin, now: float) -> None:
        if state.open or state.probing or not state.answered:
            state.recovered_at, state.recovering = now, True
        elif state.failures and now >= state.recovers_from:
            state.recovered_at, state.recovering = now, True
            state.recovers_from = now + RECOVERY_SPACING
        if state.open:
            state.window = CongestionWindow(CAP, now)
        state.answered += 1
        state.answered_at = now
        state.failures = 0
        state.probing = False

    def _failed(self, state: _Origin, now: float, seconds: float) -> None:
        if now - seconds < state.answered_at:
            # The origin answered meanwhile: what hung is a path of it.
            return
        if self._is_probe(state, now, seconds):
            state.probing = False
        elif state.open:
            return
        if not state.failures:
            state.failing_since = now - seconds
        state.failures += 1
        state.failed_at = now
        state.probes_at = now + pause_after(now - state.failing_since, seconds)

    @staticmethod
    def _is_probe(state: _Origin, now: float, seconds: float) -> bool:
        """Whether the attempt is the probe. One that began before the breaker opened may still end, and says nothing of
        the origin now."""
        return state.probing and now - seconds >= state.failed_at

    def _find(self, key: OriginKey, now: float) -> _Origin:
        state = self._origins.get(key)
        if state is None:
            self._forget(now)
            state = self._origins[key] = _Origin(now, CongestionWindow(CAP, now, size=CAP))
        else:
            self._origins.move_to_end(key)
        return state

    def _forget(self, now: float) -> None:
        """Makes room: origins idle for long, then, when there are too many, the one idle longest."""
        for _ in range(8):
            if not self._origins:
                return
            name, oldest = next(iter(self._origins.items()))
            if oldest.in_flight:
                self._origins.move_to_end(name)
            elif now - oldest.moved_at > FORGET_AFTER or len(self._origins) >= MAX_ORIGINS:
                del self._origins[name]
            else:
                return
