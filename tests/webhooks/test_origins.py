"""The pace of each origin, on a clock that only moves when told to."""

import heapq
from collections import Counter

import pytest

from answerback.testing.clock import FakeClock
from answerback.webhooks.breaker import OriginGate, Pacing

HERE, THERE = "https://here.example:443", "https://there.example:443"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gate(clock: FakeClock) -> OriginGate:
    return OriginGate(clock.monotonic)


def attempt(gate: OriginGate, ok: bool, seconds: float = 0.01, origin: str = HERE) -> None:
    assert gate.admit(origin) == 0.0
    gate.done(origin, ok, seconds)


def break_open(gate: OriginGate, origin: str = HERE) -> None:
    for _ in range(5):
        attempt(gate, ok=False, origin=origin)


def widen(gate: OriginGate, clock: FakeClock, seconds: float = 0.01) -> None:
    """Rounds of attempts that all take as long, until the window is as wide as the cap."""
    for width in (1, 1, 1, 1, 1, 2, 4, 8, 16, 32):
        assert [gate.admit(HERE) for _ in range(width)] == [0.0] * width
        clock.advance(seconds)
        for _ in range(width):
            gate.done(HERE, ok=True, seconds=seconds)


class TestTheCap:
    def test_so_many_at_once_and_no_more(self, gate: OriginGate, clock: FakeClock) -> None:
        widen(gate, clock)
        assert [gate.admit(HERE) for _ in range(64)] == [0.0] * 64
        assert gate.admit(HERE) > 0.0

    def test_an_end_frees_a_slot(self, gate: OriginGate, clock: FakeClock) -> None:
        widen(gate, clock, 0.1)
        for _ in range(64):
            gate.admit(HERE)
        gate.done(HERE, ok=True, seconds=0.1)
        assert gate.admit(HERE) == 0.0
        assert gate.admit(HERE) > 0.0

    def test_one_origin_never_slows_another(self, gate: OriginGate) -> None:
        for _ in range(100):
            gate.admit(HERE)
        break_open(gate, "https://dead.example:443")
        assert gate.admit(THERE) == 0.0

    def test_the_rest_line_up_at_the_pace_the_origin_keeps(self, gate: OriginGate, clock: FakeClock) -> None:
        # Given an origin that takes 320 ms an attempt: 200 a second through 64 slots
        widen(gate, clock, 0.32)
        for _ in range(64):
            gate.admit(HERE)
        # Then those deferred come back 5 ms apart
        waits = [gate.admit(HERE) for _ in range(1000)]
        assert waits == pytest.approx([0.005 * (n + 1) for n in range(1000)], rel=1e-3)

    def test_the_line_shortens_when_the_origin_proves_faster_than_assumed(
        self, gate: OriginGate, clock: FakeClock
    ) -> None:
        # Given a burst for an origin nobody knows yet
        waits = [gate.admit(HERE) for _ in range(64 + 6400)]
        assert max(waits) == pytest.approx(10.0, rel=0.01)
        # When its first attempts take a tenth of what was assumed
        clock.advance(0.01)
        for _ in range(64):
            gate.done(HERE, ok=True, seconds=0.01)
        for _ in range(64):
            gate.admit(HERE)
        # Then who comes next waits a tenth as long
        assert gate.admit(HERE) == pytest.approx(1.0, rel=0.02)

    def test_an_origin_that_hangs_is_asked_less_and_less(self, gate: OriginGate, clock: FakeClock) -> None:
        # Given a fast origin that fell silent with all its slots taken
        widen(gate, clock, 0.005)
        for _ in range(64):
            gate.admit(HERE)
        # When a short line asks whenever told to
        asked, line = 0, [gate.admit(HERE) for _ in range(50)]
        heapq.heapify(line)
        while line[0] < 20.0:
            due = heapq.heappop(line)
            clock.advance(max(0.0, due - clock.monotonic()))
            heapq.heappush(line, clock.monotonic() + gate.admit(HERE))
            asked += 1
        # Then it does not ask a thousand times a second for all that time
        assert asked < 1500


class TestTheBreaker:
    def test_opens_after_five_failures_in_a_row(self, gate: OriginGate) -> None:
        for _ in range(4):
            attempt(gate, ok=False)
        attempt(gate, ok=True)
        for _ in range(4):
            attempt(gate, ok=False)
        attempt(gate, ok=False)
        assert gate.admit(HERE) == pytest.approx(30.0)

    def test_then_lets_one_probe_through(self, gate: OriginGate, clock: FakeClock) -> None:
        break_open(gate)
        clock.advance(29.9)
        assert gate.admit(HERE) > 0.0
        clock.advance(0.1)
        assert gate.admit(HERE) == 0.0
        assert gate.admit(HERE) > 0.0

    def test_closes_when_the_probe_succeeds(self, gate: OriginGate, clock: FakeClock) -> None:
        break_open(gate)
        clock.advance(30)
        attempt(gate, ok=True)
        widen(gate, clock)
        assert [gate.admit(HERE) for _ in range(64)] == [0.0] * 64

    def test_waits_twice_as_long_each_time_up_to_a_limit(self, gate: OriginGate, clock: FakeClock) -> None:
        break_open(gate)
        pauses = []
        for _ in range(6):
            pause = gate.admit(HERE)
            pauses.append(round(pause))
            clock.advance(pause)
            attempt(gate, ok=False)
        assert pauses == [30, 60, 120, 240, 300, 300]

    def test_starts_over_after_a_success(self, gate: OriginGate, clock: FakeClock) -> None:
        break_open(gate)
        clock.advance(30)
        attempt(gate, ok=False)
        clock.advance(60)
        attempt(gate, ok=True)
        break_open(gate)
        assert gate.admit(HERE) == pytest.approx(30.0)

    def test_stragglers_say_nothing_about_the_probe(self, gate: OriginGate, clock: FakeClock) -> None:
        # Given twenty attempts under way when the breaker opens
        widen(gate, clock)
        for _ in range(20):
            gate.admit(HERE)
        for _ in range(5):
            gate.done(HERE, ok=False, seconds=0.1)
        clock.advance(30)
        assert gate.admit(HERE) == 0.0
        # When the others fail while the probe is out
        for _ in range(15):
            gate.done(HERE, ok=False, seconds=30.1)
        assert gate.admit(HERE) < 31.0
        # Then the probe still decides
        clock.advance(1)
        gate.done(HERE, ok=True, seconds=1.0)
        assert gate.admit(HERE) == 0.0

    def test_a_probe_that_was_given_up_is_made_again(self, gate: OriginGate, clock: FakeClock) -> None:
        break_open(gate)
        clock.advance(30)
        assert gate.admit(HERE) == 0.0
        clock.advance(2)
        gate.done(HERE, ok=None, seconds=2.0)
        # Then the breaker is as it was: one probe, and everybody else waits for what it says
        assert gate.admit(HERE) == 0.0
        assert gate.admit(HERE) > 0.0
        gate.done(HERE, ok=False, seconds=0.1)
        assert gate.admit(HERE) >= 59.0

    def test_an_attempt_that_was_given_up_frees_its_place_and_counts_for_nothing(
        self, gate: OriginGate, clock: FakeClock
    ) -> None:
        widen(gate, clock)
        for _ in range(64):
            gate.admit(HERE)
        assert gate.admit(HERE) > 0.0
        for _ in range(64):
            gate.done(HERE, ok=None, seconds=20.0)
        assert gate.admit(HERE) == 0.0


class TestABacklog:
    def test_of_a_dead_origin_comes_back_as_a_trickle(self, gate: OriginGate) -> None:
        break_open(gate)
        waits = [gate.admit(HERE) for _ in range(50_000)]
        assert min(waits) == pytest.approx(30.0)
        assert max(waits) <= 600.0
        assert max(Counter(int(wait) for wait in waits).values()) <= 101
        assert len(set(waits)) == 50_000

    def test_too_long_for_ten_minutes_is_asked_about_again_by_then_and_never_in_a_herd(
        self, gate: OriginGate, clock: FakeClock
    ) -> None:
        # Given an origin that takes 2 s an attempt, 32 a second, and a line of half an hour
        widen(gate, clock, 2.0)
        for _ in range(64):
            gate.admit(HERE)
        waits = [gate.admit(HERE) for _ in range(50_000)]
        # Then nobody waits longer than ten minutes, and no two come together
        assert max(waits) <= 600.0
        assert max(Counter(int(wait) for wait in waits).values()) <= 170
        assert len({round(wait, 5) for wait in waits}) > 49_900

    def test_of_an_origin_that_returns_is_delivered_at_no_more_than_its_rate(
        self, gate: OriginGate, clock: FakeClock
    ) -> None:
        # Given 5,000 callbacks for an origin that is down, and comes back after 100 s, taking 50 ms each
        up_at, duration = 100.0, 0.05
        events = [(0.0, n, "due") for n in range(5000)]
        delivered: list[float] = []
        in_flight = busiest = asked = 0
        # When each asks whenever it is told to
        while events:
            moment, n, what = heapq.heappop(events)
            clock.advance(max(0.0, moment - clock.monotonic()))
            if what == "due":
                asked += 1
                wait = gate.admit(HERE)
                in_flight += wait == 0.0
                busiest = max(busiest, in_flight)
                heapq.heappush(events, (moment + (wait or duration), n, "due" if wait else "end"))
                continue
            in_flight -= 1
            ok = moment >= up_at
            gate.done(HERE, ok, duration)
            if ok:
                delivered.append(moment)
            else:
                heapq.heappush(events, (moment + 5.0, n, "due"))
        # Then all arrive, soon after its return, and it never has more in flight than the cap
        assert len(delivered) == 5000
        assert 8 <= busiest <= 64
        assert max(delivered) < 700.0
        assert max(Counter(int(moment) for moment in delivered).values()) <= 64 / duration
        # And the waiting cost few questions
        assert asked < 6 * 5000

    def test_forgets_the_line_once_the_origin_is_back(self, gate: OriginGate, clock: FakeClock) -> None:
        break_open(gate)
        for _ in range(10_000):
            gate.admit(HERE)
        clock.advance(30)
        attempt(gate, ok=True)
        for _ in range(64):
            gate.admit(HERE)
        assert gate.admit(HERE) < 1.0


class TestLines:
    def test_nobody_waits_where_nobody_was_deferred(self, gate: OriginGate) -> None:
        attempt(gate, ok=True)
        gate.admit(THERE)
        assert gate.lines() == []

    def test_a_dead_origin_has_no_room_and_a_place_every_ten_milliseconds(self, gate: OriginGate) -> None:
        break_open(gate)
        gate.admit(HERE)
        (line,) = gate.lines()
        assert (line.gate, line.room) == (HERE, 0)
        assert (line.wait, line.spacing) == (pytest.approx(30.01), 0.01)
        # Up to ten minutes from now
        assert line.places == 57_000

    def test_places_that_were_given_away_are_taken(self, gate: OriginGate) -> None:
        break_open(gate)
        gate.admit(HERE)
        gate.placed(gate.lines()[0], 500)
        assert gate.admit(HERE) == pytest.approx(35.01)
        assert gate.lines()[0].wait == pytest.approx(35.02)

    def test_a_line_as_long_as_the_horizon_turns_back_to_its_middle(self, gate: OriginGate) -> None:
        break_open(gate)
        gate.admit(HERE)
        for _ in range(2):
            (line,) = gate.lines()
            gate.placed(line, line.places)
            (line,) = gate.lines()
            assert 300.0 < line.wait < 301.0
            assert line.wait + line.places * line.spacing <= 600.01

    def test_when_the_pause_is_over_there_is_room_for_the_probe_and_the_others_wait_for_it(
        self, gate: OriginGate, clock: FakeClock
    ) -> None:
        break_open(gate)
        gate.admit(HERE)
        clock.advance(31)
        (line,) = gate.lines()
        assert (line.room, line.wait >= 1.0) == (1, True)
        assert gate.admit(HERE) == 0.0
        assert [line.room for line in gate.lines()] == [0]

    def test_an_end_says_whether_somebody_waits_for_it(self, gate: OriginGate, clock: FakeClock) -> None:
        gate.admit(HERE, late=True)
        assert not gate.done(HERE, ok=True, seconds=0.1)
        gate.admit(HERE, late=True)
        assert gate.admit(HERE, late=True) > 0.0
        assert [line.room for line in gate.lines()] == [0]
        assert gate.done(HERE, ok=True, seconds=0.1)
        assert [line.room for line in gate.lines()] == [1]

    def test_a_line_that_has_run_out_is_no_longer_told_of(self, gate: OriginGate, clock: FakeClock) -> None:
        gate.admit(HERE, late=True)
        gate.admit(HERE, late=True)
        gate.done(HERE, ok=True, seconds=0.1)
        clock.advance(1.5)
        assert gate.lines() == []
        gate.admit(HERE, late=True)
        assert not gate.done(HERE, ok=True, seconds=0.1)

    def test_of_thousands_those_are_told_of_at_which_somebody_was_deferred_last(self, gate: OriginGate) -> None:
        names = [f"https://{n}.example:443" for n in range(2_000)]
        for name in names:
            break_open(gate, name)
            gate.admit(name)
        assert {line.gate for line in gate.lines()} == set(names[-50:])
        gate.admit(names[0])
        assert names[0] in {line.gate for line in gate.lines()}

    def test_what_was_placed_meanwhile_for_an_origin_nobody_remembers_is_no_error(self, clock: FakeClock) -> None:
        gate = OriginGate(clock.monotonic, Pacing(max_origins=1))
        break_open(gate)
        gate.admit(HERE)
        (line,) = gate.lines()
        break_open(gate, THERE)
        gate.placed(line, 5)
        assert gate.lines() == []


class TestMemory:
    def test_idle_origins_are_forgotten(self, gate: OriginGate, clock: FakeClock) -> None:
        for n in range(100):
            attempt(gate, ok=True, origin=f"https://{n}.example:443")
        clock.advance(901)
        for n in range(100, 130):
            attempt(gate, ok=True, origin=f"https://{n}.example:443")
        assert len(gate) == 30

    def test_never_more_than_the_bound_however_many_are_dead(self, clock: FakeClock) -> None:
        gate = OriginGate(clock.monotonic, Pacing(max_origins=100))
        for n in range(500):
            break_open(gate, origin=f"https://{n}.example:443")
        assert len(gate) <= 100

    def test_an_origin_in_use_is_kept(self, clock: FakeClock) -> None:
        gate = OriginGate(clock.monotonic, Pacing(cap=1, max_origins=3))
        gate.admit(HERE)
        for n in range(50):
            attempt(gate, ok=True, origin=f"https://{n}.example:443")
        assert gate.admit(HERE) > 0.0

    def test_the_end_of_an_attempt_nobody_knows_is_no_error(self, gate: OriginGate) -> None:
        gate.done(HERE, ok=True, seconds=1.0)
        assert len(gate) == 0
