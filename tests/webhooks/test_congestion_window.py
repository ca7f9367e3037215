"""How an origin's window opens, on a clock of the test's."""

import heapq
import random
from bisect import bisect_left
from collections.abc import Callable

import pytest

from answerback.testing.clock import FakeClock
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.limits.congestion_window import SLOW_ROUNDS
from answerback.webhooks.model import OriginKey
from answerback.webhooks.sending.outcome import AttemptEnd

HERE = OriginKey("tenant", "https://here.example:443")


def begins(breakers: CircuitBreakers, late: bool = True) -> bool:
    """Whether one more attempt begins."""
    room = breakers.look(HERE, late).free > 0
    if room:
        breakers.began(HERE, late)
    return room


class Receiver:
    """Attempts of some processes at one receiver, each of which makes as many as its window admits. `takes` says how
    long the attempt takes that begins now."""

    def __init__(self, clock: FakeClock, processes: int, takes: Callable[[float], float]) -> None:
        self.clock = clock
        self.processes = [CircuitBreakers(clock.monotonic) for _ in range(processes)]
        self.takes = takes
        self.came: list[float] = []
        self.in_flight = [0] * processes
        self.most_in_flight = 0
        self.ends: list[tuple[float, int, float]] = []

    def run(self, until: Callable[[], bool]) -> float:
        """The time at which it is so."""
        last = self.clock.monotonic() + 100.0
        while not until():
            assert self.clock.monotonic() < last
            for n, breakers in enumerate(self.processes):
                while begins(breakers):
                    now = self.clock.monotonic()
                    self.in_flight[n] += 1
                    self.most_in_flight = max(self.most_in_flight, sum(self.in_flight))
                    self.came.append(now)
                    heapq.heappush(self.ends, (now + self.takes(now), n, now))
            at, n, began = heapq.heappop(self.ends)
            self.clock.advance(max(0.0, at - self.clock.monotonic()))
            self.in_flight[n] -= 1
            self.processes[n].ended(HERE, AttemptEnd.ANSWERED, at - began)
        return self.clock.monotonic()

    @property
    def busiest(self) -> float:
        """The most that came a second in any five seconds."""
        return max(bisect_left(self.came, each + 5.0) - n for n, each in enumerate(self.came)) / 5.0


class OneHand:
    """A receiver that takes `rate` a second, one at a time."""

    def __init__(self, rate: float) -> None:
        self.seconds = 1 / rate
        self.free = 0.0

    def __call__(self, now: float) -> float:
        self.free = max(self.free, now) + self.seconds
        return self.free - now


def width(breakers: CircuitBreakers) -> int:
    """How many it admits at once."""
    admitted = 0
    while begins(breakers):
        admitted += 1
    for _ in range(admitted):
        breakers.ended(HERE, AttemptEnd.CANCELLED, 0.0)
    return admitted


def round_of(
    breakers: CircuitBreakers, clock: FakeClock, count: int, seconds: float, end: AttemptEnd = AttemptEnd.ANSWERED
) -> None:
    for _ in range(count):
        assert begins(breakers)
    clock.advance(seconds)
    for _ in range(count):
        breakers.ended(HERE, end, seconds)


def test_an_origin_to_which_late_ones_are_owed_gets_one_at_a_time_and_then_twice_as_many_each_round(
    clock: FakeClock,
) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    for _ in range(5):
        assert width(breakers) == 1
        round_of(breakers, clock, 1, 0.1)
    for expected in (2, 4, 8, 16, 32, 64):
        assert width(breakers) == expected
        round_of(breakers, clock, expected, 0.1)
    assert width(breakers) == 64


def test_a_round_that_takes_longer_halves_it_and_one_without_an_answer_ends_it(clock: FakeClock) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    for count in (1, 1, 1, 1, 1, 2, 4, 8):
        round_of(breakers, clock, count, 0.1)
    round_of(breakers, clock, 16, 0.2)
    assert width(breakers) == 8
    round_of(breakers, clock, 1, 0.1, AttemptEnd.UNREACHED)
    assert width(breakers) == 1


def test_without_late_ones_an_origin_gets_all_it_may_at_once(clock: FakeClock) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    assert all(begins(breakers, late=False) for _ in range(64))
    for _ in range(64):
        breakers.ended(HERE, AttemptEnd.ANSWERED, 0.1)
    # And one that has answered so many is not doubted because of a late one.
    assert width(breakers) == 64


def test_what_was_never_needed_is_not_taken_for_granted(clock: FakeClock) -> None:
    """Or an hour of single callbacks would open the way for sixty-four at once."""
    breakers = CircuitBreakers(clock.monotonic)
    for _ in range(1000):
        round_of(breakers, clock, 1, 0.1)

    assert width(breakers) == 2


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.1])
def test_a_quick_origin_is_at_its_cap_within_two_seconds(clock: FakeClock, seconds: float) -> None:
    quick = Receiver(clock, 1, lambda _: seconds)
    began = clock.monotonic()

    assert quick.run(lambda: quick.most_in_flight == 64) - began < 2.0


@pytest.mark.parametrize("seed", range(20))
def test_so_is_one_whose_answers_take_now_longer_now_shorter_a_little_later(clock: FakeClock, seed: int) -> None:
    chance = random.Random(seed)
    uneven = Receiver(clock, 1, lambda _: chance.expovariate(10.0))
    began = clock.monotonic()

    assert uneven.run(lambda: uneven.most_in_flight == 64) - began < 10.0


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_an_origin_with_one_pair_of_hands_never_gets_more_than_its_rate(clock: FakeClock, workers: int) -> None:
    """However many workers there are, none of which knows of the others: 50 a second, and a handful in line."""
    began = clock.monotonic()
    slow = Receiver(clock, workers, OneHand(50.0))

    slow.run(lambda: clock.monotonic() - began > 60.0)

    assert slow.busiest <= 53.0
    assert len(slow.came) / 60.0 > 49.0
    assert slow.most_in_flight <= 16


def test_from_half_of_what_was_refused_it_grows_slowly(clock: FakeClock) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    for count in (1, 1, 1, 1, 1, 2, 4, 8):
        round_of(breakers, clock, count, 0.125)
    round_of(breakers, clock, 16, 0.125, AttemptEnd.BUSY)
    assert width(breakers) == 8

    for expected in (9, 10, 11):
        for _ in range(SLOW_ROUNDS):
            assert width(breakers) == expected - 1
            round_of(breakers, clock, expected - 1, 0.125)
        assert width(breakers) == expected


def test_what_is_refused_again_before_any_answer_ends_it_and_half_of_it_is_soon_there_again(clock: FakeClock) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    for count in (1, 1, 1, 1, 1, 2, 4, 8):
        round_of(breakers, clock, count, 0.125)
    for count in (16, 8):
        round_of(breakers, clock, count, 0.125, AttemptEnd.BUSY)

    for expected in (1, 2, 4, 8):
        assert width(breakers) == expected
        round_of(breakers, clock, expected, 0.125)


def test_an_origin_that_is_back_starts_with_one_again(clock: FakeClock) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    for count in (1, 1, 1, 1, 1, 2, 4, 8, 16, 32):
        round_of(breakers, clock, count, 0.01)
    assert width(breakers) == 64
    round_of(breakers, clock, 5, 0.01, AttemptEnd.UNREACHED)
    clock.advance(30.0)

    round_of(breakers, clock, 1, 0.01)

    assert width(breakers) == 1


def test_one_that_hangs_gets_one_more_each_second_so_that_it_is_soon_known_to_be_dead(clock: FakeClock) -> None:
    breakers = CircuitBreakers(clock.monotonic)
    assert [begins(breakers) for _ in range(2)] == [True, False]
    for _ in range(9):
        clock.advance(1.0)
        assert [begins(breakers) for _ in range(2)] == [True, False]
    clock.advance(1.0)
    for _ in range(5):
        breakers.ended(HERE, AttemptEnd.UNREACHED, 10.0)
        clock.advance(1.0)
    assert breakers.look(HERE, late=True).opens_in == pytest.approx(149.0)
