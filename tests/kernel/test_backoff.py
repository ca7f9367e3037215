"""When to try again, as arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.retry import (
    DAY,
    JOB_SCHEDULE,
    STANDARD_WEBHOOKS_SCHEDULE,
    RetrySchedule,
    exponential,
)

draws = st.floats(0, 1, exclude_max=True)


@given(attempt=st.integers(1, 9), draw=draws)
def test_a_wait_is_jittered_by_a_fifth_at_most(attempt: int, draw: float) -> None:
    planned = STANDARD_WEBHOOKS_SCHEDULE[attempt]

    delay = RetrySchedule(STANDARD_WEBHOOKS_SCHEDULE).delay(attempt, None, lambda: draw)

    assert delay is not None
    assert planned * 0.8 <= delay <= planned * 1.2


@pytest.mark.parametrize(("draw", "factor"), [(0.0, 0.8), (0.5, 1.0), (0.999999, 1.2)])
def test_jitter_uses_the_whole_range(draw: float, factor: float) -> None:
    assert RetrySchedule((0.0, 100.0)).delay(1, None, lambda: draw) == pytest.approx(100 * factor, rel=1e-4)


@pytest.mark.parametrize("asked", [None, 0.0, 10.0])
def test_after_the_last_attempt_there_is_none(asked: float | None) -> None:
    schedule = RetrySchedule((0.0, 5.0, 300.0))

    assert schedule.delay(2, asked, lambda: 0.5) is not None
    assert schedule.delay(3, asked, lambda: 0.5) is None
    assert schedule.delay(4, asked, lambda: 0.5) is None


@given(asked=st.floats(-10, 1e9), draw=draws)
def test_retry_after_lengthens_the_wait_and_is_never_undercut(asked: float, draw: float) -> None:
    delay = RetrySchedule((0.0, 5.0)).delay(1, asked, lambda: draw)

    assert delay is not None
    assert delay >= min(asked, DAY)
    assert delay >= 4.0


@given(asked=st.floats(DAY, 1e12), draw=draws)
def test_retry_after_counts_up_to_a_day(asked: float, draw: float) -> None:
    delay = RetrySchedule((0.0, 5.0)).delay(1, asked, lambda: draw)

    assert delay is not None
    assert DAY <= delay <= DAY * 1.2


def test_a_long_retry_after_is_spread_over_a_minute_at_most() -> None:
    assert RetrySchedule((0.0, 5.0)).delay(1, 36_000.0, lambda: 1.0) == 36_060.0


def test_a_short_retry_after_does_not_shorten_the_planned_wait() -> None:
    assert RetrySchedule((0.0, 300.0)).delay(1, 1.0, lambda: 0.5) == 300.0


def test_exponential_waits_grow_up_to_their_limit() -> None:
    assert exponential(attempts=6, first=2, multiplier=2, limit=10).waits == (0, 2, 4, 8, 10, 10)
    assert exponential(attempts=1, first=2, multiplier=2, limit=10).waits == (0,)
    assert exponential(attempts=10_000, first=2, multiplier=10, limit=1e6).waits[-1] == 1e6


def test_the_standard_schedule_makes_ten_attempts_in_about_three_days() -> None:
    assert len(STANDARD_WEBHOOKS_SCHEDULE) == 10
    assert sum(STANDARD_WEBHOOKS_SCHEDULE) / 3600 == pytest.approx(75, abs=1)


def test_a_job_is_tried_twelve_times_in_about_two_hours() -> None:
    assert len(JOB_SCHEDULE.waits) == 12
    assert JOB_SCHEDULE.waits[:6] == (0, 2, 8, 32, 128, 512)
    assert sum(JOB_SCHEDULE.waits) < 2 * 3600
