"""How fast each origin is called: a cap on attempts in flight, a circuit breaker, and a place in line for the rest.

closed ──5 failures──▶ open ──30 s, doubling to 300 s──▶ half-open (one probe)
   ▲                     ▲                                   │
   └──────success────────┼───────────────────────────────────┤
                         └──────────────failure──────────────┘
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

WEIGHT = 0.2
"""How much one attempt's duration moves the average."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """The numbers of an `OriginGate`, times in seconds.

    `closed_spacing` and `open_spacing` are the least time between two deferred attempts of one origin, by the state of
    its breaker. `assumed_duration` is an attempt's until one has succeeded; `probe_patience` is the least that others
    wait for a probe. `horizon` is how far ahead an attempt may be deferred; an origin idle for `forget_after` is
    forgotten.
    """

    cap: int = 64
    failures_to_open: int = 5
    first_pause: float = 30.0
    longest_pause: float = 300.0
    assumed_duration: float = 0.1
    probe_patience: float = 1.0
    closed_spacing: float = 0.0002
    open_spacing: float = 0.01
    horizon: float = 600.0
    forget_after: float = 900.0
    max_origins: int = 10_000


@dataclass(slots=True)
class _Origin:
    average: float
    moved_at: float
    """When an attempt last began or ended."""
    measured: bool = False
    in_flight: int = 0
    failures: int = 0
    pause: float = 0.0
    opened_at: float = 0.0
    reopens_at: float = 0.0
    probing: bool = False
    next_slot: float = 0.0
    laps: int = 0

    @property
    def open(self) -> bool:
        return self.pause > 0.0


class OriginGate:
    """Implements `ports.Origins` as arithmetic over a monotonic clock: no tasks, no timers, no I/O."""

    def __init__(self, monotonic: Callable[[], float], pacing: Pacing | None = None) -> None:
        self._monotonic = monotonic
        self._pacing = pacing or Pacing()
        self._origins: OrderedDict[str, _Origin] = OrderedDict()

    def __len__(self) -> int:
        """How many origins are remembered."""
        return len(self._origins)

    def admit(self, origin: str) -> float:
        """0.0 when the attempt may run now: it holds a slot until `done`. Else the seconds after which to ask again.

        Everyone who is deferred gets a moment of its own, at the pace the origin can absorb, so that a long backlog
        comes back as a trickle.
        """
        now = self._monotonic()
        state = self._find(origin, now)
        if state.open:
            if now < state.reopens_at or state.probing:
                return self._reserve(state, now)
            state.probing = True
        elif state.in_flight >= self._pacing.cap:
            return self._reserve(state, now)
        state.in_flight += 1
        state.moved_at = now
        return 0.0

    def done(self, origin: str, ok: bool | None, seconds: float) -> None:
        """Ends an attempt that was admitted, exactly once; it took `seconds`. `ok` is False when the origin failed,
        None when nobody knows, as of an attempt that was cancelled: a probe is then still to be made."""
        now = self._monotonic()
        state = self._origins.get(origin)
        if state is None:
            return
        state.moved_at = now
        state.in_flight = max(0, state.in_flight - 1)
        if ok is None:
            if self._is_probe(state, now, seconds):
                state.probing = False
            return
        self._measure(state, ok, seconds, now)
        if ok:
            self._close(state, now)
        else:
            self._count_failure(state, now, seconds)

    def _measure(self, state: _Origin, ok: bool, seconds: float, now: float) -> None:
        before = state.average
        if ok and not state.measured:
            state.average = max(seconds, 1e-6)
            state.measured = True
        elif ok or seconds > before:
            # A connection refused in a millisecond says nothing of the origin's pace; one that hangs does.
            state.average += WEIGHT * (seconds - before)
        if not state.open and state.next_slot > now:
            # The line holds as many as before; at a quicker pace it ends sooner. It is never stretched: those in it
            # keep their moments, and one slow moment of ours must not push the next ones far away.
            state.next_slot = now + (state.next_slot - now) * min(1.0, state.average / before)

    def _close(self, state: _Origin, now: float) -> None:
        state.failures = 0
        if state.open:
            state.pause = 0.0
            state.probing = False
            state.next_slot = now

    def _count_failure(self, state: _Origin, now: float, seconds: float) -> None:
        pacing = self._pacing
        if state.open:
            if not self._is_probe(state, now, seconds):
                return
            pause = min(state.pause * 2.0, pacing.longest_pause)
        else:
            state.failures += 1
            if state.failures < pacing.failures_to_open:
                return
            pause = pacing.first_pause
        state.pause = pause
        state.probing = False
        state.opened_at = now
        state.reopens_at = now + pause

    @staticmethod
    def _is_probe(state: _Origin, now: float, seconds: float) -> bool:
        """Attempts from before the breaker opened end one by one; only the probe speaks for the origin now."""
        return state.probing and now - seconds >= state.opened_at

    def _reserve(self, state: _Origin, now: float) -> float:
        """The wait until the next free moment of this origin, which is then taken."""
        pacing = self._pacing
        waiting_for_it = state.probing or not state.open
        # An origin that ends nothing is slower than its past says; without this its line would be asked over and over.
        duration = max(state.average, now - state.moved_at) if waiting_for_it else state.average
        spacing = max(duration / pacing.cap, pacing.open_spacing if state.open else pacing.closed_spacing)
        if state.probing:
            earliest = now + max(duration, pacing.probe_patience)
        else:
            earliest = state.reopens_at if state.open else now + spacing
        slot = max(state.next_slot, earliest)
        if slot - now > pacing.horizon:
            # Beyond the horizon the line turns back to its middle, each lap a little aside of the others (by the golden
            # ratio): nobody waits longer, and nobody comes together.
            state.laps += 1
            slot = max(earliest, now + pacing.horizon / 2.0) + spacing * (state.laps * 0.618034 % 1.0)
        state.next_slot = slot + spacing
        return slot - now

    def _find(self, origin: str, now: float) -> _Origin:
        state = self._origins.get(origin)
        if state is None:
            self._forget(now)
            state = self._origins[origin] = _Origin(self._pacing.assumed_duration, now)
        else:
            self._origins.move_to_end(origin)
        return state

    def _forget(self, now: float) -> None:
        """Makes room: origins idle for long, then, when there are too many, the one idle longest."""
        for _ in range(8):
            if not self._origins:
                return
            name, oldest = next(iter(self._origins.items()))
            if oldest.in_flight:
                self._origins.move_to_end(name)
            elif now - oldest.moved_at > self._pacing.forget_after or len(self._origins) >= self._pacing.max_origins:
                del self._origins[name]
            else:
                return
