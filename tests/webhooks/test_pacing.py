"""How a receiver that refuses is called, by one process or several, on a clock of the test's."""

import heapq
import math
from collections import Counter, deque
from typing import NamedTuple, Protocol

import pytest

from answerback.testing.clock import FakeClock
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.limits.pacing import FIRST, LONGEST, LONGEST_NAMED, SHRINKAGE
from answerback.webhooks.model import OriginKey
from answerback.webhooks.sending.outcome import AttemptEnd

HERE = OriginKey("tenant", "https://here.example:443")
ANSWERED, BUSY = AttemptEnd.ANSWERED, AttemptEnd.BUSY
QUICK = 0.002


class Response(NamedTuple):
    end: AttemptEnd
    seconds: float
    retry_after: float | None = None


class Receiver(Protocol):
    def call(self, now: float) -> Response: ...

    def end(self, response: Response) -> None: ...


class FewPlaces:
    """Takes so many at once, and refuses more without a delay."""

    def __init__(self, places: int) -> None:
        self.free = places

    def call(self, now: float) -> Response:
        if not self.free:
            return Response(BUSY, QUICK)
        self.free -= 1
        return Response(ANSWERED, 0.1)

    def end(self, response: Response) -> None:
        self.free += response.end is ANSWERED


class Limited:
    """Takes so many in any so many seconds, and may say when it takes the next."""

    def __init__(self, amount: int, seconds: float, *, named: bool) -> None:
        self.amount, self.seconds, self.named = amount, seconds, named
        self.taken = deque[float]()

    def call(self, now: float) -> Response:
        while self.taken and self.taken[0] <= now - self.seconds:
            self.taken.popleft()
        if len(self.taken) == self.amount:
            return Response(BUSY, QUICK, self.taken[0] + self.seconds - now if self.named else None)
        self.taken.append(now)
        return Response(ANSWERED, QUICK)

    def end(self, response: Response) -> None:
        return


class Processes:
    """Processes that know nothing of each other, each of which calls a receiver as often as it may."""

    def __init__(self, clock: FakeClock, receiver: Receiver, count: int, late: bool) -> None:
        self.clock = clock
        self.receiver = receiver
        self.breakers = [CircuitBreakers(clock.monotonic) for _ in range(count)]
        self.late = late
        self.begun = 0
        self.ends: list[tuple[float, int, int, Response]] = []

    def heard(self) -> Counter[AttemptEnd]:
        """What they hear until a thousand callbacks are taken, or refused."""
        heard = Counter[AttemptEnd]()
        while max(heard.values(), default=0) < 1000:
            opens_at = min(map(self.begin, range(len(self.breakers))))
            if not self.ends or opens_at < self.ends[0][0]:
                self.until(opens_at)
                continue
            at, _, n, response = heapq.heappop(self.ends)
            self.until(at)
            self.receiver.end(response)
            heard[response.end] += 1
            self.breakers[n].ended(HERE, response.end, response.seconds, retry_after=response.retry_after)
        return heard

    def begin(self, n: int) -> float:
        """Begins all that one process may; when it may begin more, if it waits for that alone."""
        now = self.clock.monotonic()
        while (room := self.breakers[n].look(HERE, self.late)).free:
            self.breakers[n].began(HERE, self.late)
            response = self.receiver.call(now)
            self.begun += 1
            heapq.heappush(self.ends, (now + response.seconds, self.begun, n, response))
        return math.inf if room.opens_in is None else now + room.opens_in + 1e-6

    def until(self, at: float) -> None:
        self.clock.advance(max(0.0, at - self.clock.monotonic()))


def heard(clock: FakeClock, receiver: Receiver, processes: int, *, late: bool = False) -> Counter[AttemptEnd]:
    return Processes(clock, receiver, processes, late).heard()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("places", [1, 2, 3, 5, 8, 20, 40])
@pytest.mark.parametrize(("processes", "refusals"), [(1, 300), (3, 600)])
def test_a_receiver_that_refuses_above_some_number_refuses_fewer_than_it_takes(
    clock: FakeClock, processes: int, places: int, late: bool, refusals: int
) -> None:
    assert heard(clock, FewPlaces(places), processes, late=late)[BUSY] < refusals


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("amount", [10, 100])
def test_so_does_one_that_limits_by_rate_and_gets_about_what_it_takes(
    clock: FakeClock, amount: int, named: bool, processes: int
) -> None:
    began = clock.monotonic()

    found = heard(clock, Limited(amount, 1.0, named=named), processes)

    assert found[BUSY] < 800
    assert found[ANSWERED] == 1000
    assert clock.monotonic() - began < 1.5 * 1000 / amount


@pytest.mark.parametrize("processes", [1, 3])
def test_so_does_one_that_limits_by_the_minute_and_says_when_it_takes_more(clock: FakeClock, processes: int) -> None:
    assert heard(clock, Limited(100, 60.0, named=True), processes)[BUSY] < 700


@pytest.fixture
def breakers(clock: FakeClock) -> CircuitBreakers:
    """Of a process that calls an origin one at a time: something late is owed there."""
    return CircuitBreakers(clock.monotonic)


def attempt(
    breakers: CircuitBreakers, clock: FakeClock, end: AttemptEnd, path: str = "/", retry_after: float | None = None
) -> bool:
    assert breakers.look(HERE, late=True).free == 1
    breakers.began(HERE, late=True)
    clock.advance(QUICK)
    return breakers.ended(HERE, end, QUICK, path, retry_after)


def test_intervals_double_with_each_refusal_up_to_a_limit_and_shrink_with_each_answer(
    breakers: CircuitBreakers, clock: FakeClock
) -> None:
    intervals = []
    for _ in range(10):
        attempt(breakers, clock, BUSY)
        intervals.append(breakers.look(HERE, late=True).opens_in or 0.0)
        clock.advance(LONGEST)
    assert intervals == pytest.approx([min(FIRST * 2**n, LONGEST) for n in range(10)])

    for n in range(1, 10):
        attempt(breakers, clock, ANSWERED)
        assert breakers.look(HERE).opens_in == pytest.approx(LONGEST * SHRINKAGE**n - QUICK), "from its beginning"
        clock.advance(LONGEST)


@pytest.mark.parametrize(("named", "waited"), [(30.0, 30.0), (3_600.0, LONGEST_NAMED)])
def test_what_the_receiver_names_is_waited_for(
    breakers: CircuitBreakers, clock: FakeClock, named: float, waited: float
) -> None:
    attempt(breakers, clock, BUSY, retry_after=named)

    room = breakers.look(HERE)
    assert (room.free, room.opens_in) == (0, pytest.approx(waited))
    assert not breakers.reserve(HERE)
    clock.advance(waited)
    assert breakers.look(HERE).free == 1


def test_a_refusal_counts_although_answers_at_intervals_have_widened_the_window(
    breakers: CircuitBreakers, clock: FakeClock
) -> None:
    for end in (BUSY,) * 8 + (ANSWERED,) * 6:
        attempt(breakers, clock, end)
        clock.advance(LONGEST)

    attempt(breakers, clock, BUSY, retry_after=30.0)

    assert breakers.look(HERE).opens_in == pytest.approx(30.0)


def test_an_end_says_that_another_may_begin_after_the_interval(breakers: CircuitBreakers, clock: FakeClock) -> None:
    """Or the worker pool would sleep until its next poll."""
    assert attempt(breakers, clock, BUSY)
    clock.advance(FIRST)
    assert attempt(breakers, clock, ANSWERED)
    assert 0 < (breakers.look(HERE).opens_in or 0.0) < FIRST


def test_a_path_that_always_refuses_delays_no_other_path(breakers: CircuitBreakers, clock: FakeClock) -> None:
    attempt(breakers, clock, ANSWERED, "/works")

    for _ in range(100):
        attempt(breakers, clock, BUSY, "/is-down", retry_after=30.0)
        attempt(breakers, clock, BUSY, "/is-down", retry_after=30.0)
        attempt(breakers, clock, ANSWERED, "/works")

    # But several that refuse do, and so does one that answered before.
    attempt(breakers, clock, BUSY, "/works")
    assert breakers.look(HERE).opens_in == pytest.approx(FIRST)
    clock.advance(FIRST)
    attempt(breakers, clock, ANSWERED, "/works")
    clock.advance(FIRST)
    attempt(breakers, clock, BUSY, "/a")
    attempt(breakers, clock, BUSY, "/b")
    assert breakers.look(HERE).opens_in is not None
