"""How fast each origin is called: a cap on attempts in flight, a circuit breaker, and a place in line for the rest.

An origin that has just closed again, or of which late callbacks are the first that is heard, starts with one attempt at
a time, see `window`; it is full when as many are in flight as its window admits.

closed ──5 failures──▶ open ──30 s, doubling to 300 s──▶ half-open (one probe)
   ▲                     ▲                                   │
   └──────success────────┼───────────────────────────────────┤
                         └──────────────failure──────────────┘
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from answerback.webhooks.model import OriginLine
from answerback.webhooks.window import Window

WEIGHT = 0.2
"""How much one attempt's duration moves the average."""
GROWTH = 4
"""A line is as quick as its origin would be with a window so many times wider: when its places come, it may be."""
MOST_LINES = 50
"""How many lines a claim hears of. Those used latest: what is due at others is claimed, deferred, and so told of."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """The numbers of an `OriginGate`, times in seconds.

    `closed_spacing` and `open_spacing` are the least time between two deferred attempts of one origin, by the state of
    its breaker. `assumed_duration` is an attempt's until one has succeeded. For `patience` the others wait at least for
    a probe, and at most for attempts that do not end to let one more begin; a line that ran out is remembered as long.
    `horizon` is how far ahead an attempt may be deferred; an origin idle for `forget_after` is forgotten.
    """

    cap: int = 64
    failures_to_open: int = 5
    first_pause: float = 30.0
    longest_pause: float = 300.0
    assumed_duration: float = 0.1
    patience: float = 1.0
    closed_spacing: float = 0.0002
    open_spacing: float = 0.01
    horizon: float = 600.0
    forget_after: float = 900.0
    max_origins: int = 10_000


@dataclass(slots=True)
class _Origin:
    average: float
    moved_at: float
    """When an attempt last ended, or began where none was in flight."""
    window: Window
    answered: int = 0
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
        self._lines: OrderedDict[str, _Origin] = OrderedDict()
        """The origins at which somebody was deferred, the one where it happened last at the end."""

    def __len__(self) -> int:
        """How many origins are remembered."""
        return len(self._origins)

    def admit(self, origin: str, late: bool = False) -> float:
        """0.0 when the attempt may run now: it holds a slot until `done`. Else the seconds after which to ask again.

        Everyone who is deferred gets a moment of its own, at the pace the origin can absorb, so that a long backlog
        comes back as a trickle. `late` is who has been owed for long, as after an outage that others than we have seen.
        """
        now = self._monotonic()
        state = self._find(origin, now)
        if late and state.answered < self._pacing.cap and state.window.untried:
            state.window = Window(self._pacing.cap, now)
        if not self._room(state, now):
            self._line_up(origin, state)
            slot, spacing = self._next_place(state, now)
            state.next_slot = slot + spacing
            return slot - now
        state.probing = state.open
        state.window.began_one(state.in_flight)
        if not state.in_flight:
            state.moved_at = now
        state.in_flight += 1
        return 0.0

    def done(self, origin: str, ok: bool | None, seconds: float) -> bool:
        """Ends an attempt that was admitted, exactly once; it took `seconds`. `ok` is False when the origin failed,
        None when nobody knows, as of an attempt that was cancelled: a probe is then still to be made. Whether somebody
        in its line might begin now."""
        now = self._monotonic()
        state = self._origins.get(origin)
        if state is None:
            return False
        state.moved_at = now
        state.in_flight = max(0, state.in_flight - 1)
        if ok is None:
            state.probing = state.probing and not self._is_probe(state, now, seconds)
        else:
            self._measure(state, ok, seconds, now)
            state.window.ended(ok, seconds, now)
            if ok:
                self._close(state, now)
            else:
                self._count_failure(state, now, seconds)
        return origin in self._lines and self._room(state, now) > 0

    def lines(self) -> list[OriginLine]:
        """The origins at which others wait or soon will, so that a claim leaves there what would only be deferred."""
        now = self._monotonic()
        told: list[OriginLine] = []
        for origin in list(islice(reversed(self._lines), MOST_LINES)):
            state = self._lines[origin]
            room = self._room(state, now)
            if room and not state.open and state.next_slot <= now - self._pacing.patience:
                del self._lines[origin]
                continue
            slot, spacing = self._next_place(state, now)
            places = 1 + int((now + self._pacing.horizon - slot) / spacing)
            told.append(OriginLine(origin, room, slot - now, spacing, places))
        return told

    def placed(self, line: OriginLine, count: int) -> None:
        """So many of the places of a line that `lines` told of are taken."""
        state = self._origins.get(line.gate)
        if state is not None:
            self._line_up(line.gate, state)
            state.next_slot = max(state.next_slot, self._monotonic() + line.wait + count * line.spacing)

    def _line_up(self, origin: str, state: _Origin) -> None:
        self._lines[origin] = state
        self._lines.move_to_end(origin)

    def _room(self, state: _Origin, now: float) -> int:
        """How many more attempts may begin now."""
        if state.open:
            return 0 if now < state.reopens_at or state.probing else 1
        # Whoever hangs says nothing of the others; and that an origin is dead takes several who hang to know.
        hanging = int((now - state.moved_at) / self._pacing.patience) if state.in_flight else 0
        return max(0, min(state.window.size + hanging, self._pacing.cap) - state.in_flight)

    def _measure(self, state: _Origin, ok: bool, seconds: float, now: float) -> None:
        before = state.average
        state.answered += ok
        if ok and state.answered == 1:
            state.average = max(seconds, 1e-6)
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
            state.window = Window(self._pacing.cap, now)

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

    def _next_place(self, state: _Origin, now: float) -> tuple[float, float]:
        """The next free moment of this origin's line, and the time from one to the other."""
        pacing = self._pacing
        spacing = self._spacing(state, now)
        if not state.open:
            earliest = now + spacing
        elif now < state.reopens_at:
            earliest = state.reopens_at
        else:
            duration = now - state.moved_at if state.probing else 0.0
            earliest = now + max(state.average, duration, pacing.patience)
        if max(state.next_slot, earliest) - now > pacing.horizon:
            # Beyond the horizon the line turns back to its middle, each lap a little aside of the others (by the golden
            # ratio): nobody waits longer, and nobody comes together.
            state.laps += 1
            state.next_slot = now + pacing.horizon / 2.0 + spacing * (state.laps * 0.618034 % 1.0)
        return max(state.next_slot, earliest), spacing

    def _spacing(self, state: _Origin, now: float) -> float:
        pacing, window = self._pacing, state.window
        # An origin that ends nothing is slower than its past says; without this its line would be asked over and over.
        silent = now - state.moved_at if state.in_flight and (state.probing or not state.open) else 0.0
        duration = max(state.average, silent)
        if state.open:
            return max(duration / pacing.cap, pacing.open_spacing)
        batched = pacing.cap if window.alone is None else min(pacing.cap, GROWTH * window.size)
        return max(duration / batched, pacing.closed_spacing)

    def _find(self, origin: str, now: float) -> _Origin:
        state = self._origins.get(origin)
        if state is None:
            self._forget(now)
            cap = self._pacing.cap
            state = self._origins[origin] = _Origin(self._pacing.assumed_duration, now, Window(cap, now, size=cap))
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
                self._lines.pop(name, None)
            else:
                return
