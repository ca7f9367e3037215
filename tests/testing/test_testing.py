"""The tools that tests and the demo stand on: a clock that they move, and the names that are public."""

import pytest

import answerback.testing
from answerback.kernel.clock import Clock
from answerback.testing.clock import FakeClock


class TestFakeClock:
    def test_both_clocks_move_together_and_only_by_the_test(self) -> None:
        clock = FakeClock(now=1000)
        seen: Clock = clock
        assert (seen.now(), seen.now(), seen.monotonic()) == (1000, 1000, 0.0)

        clock.advance(1.5)

        assert (seen.now(), seen.monotonic()) == (2500, 1.5)

    def test_many_small_steps_lose_no_time(self) -> None:
        clock = FakeClock(now=0)

        for _ in range(10_000):
            clock.advance(0.0004)

        assert clock.now() == 4000

    def test_time_never_goes_back(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            FakeClock().advance(-1)

    def test_a_step_moves_the_wall_clock_only(self) -> None:
        clock = FakeClock(now=5000)
        clock.advance(1)

        clock.step(-2)

        assert (clock.now(), clock.monotonic(), clock.since_boot()) == (4000, 1.0, 1000)


def test_the_public_names_are_those_listed() -> None:
    for name in answerback.testing.__all__:
        assert getattr(answerback.testing, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = answerback.testing.Sender
