"""Work that a peer causes is kept to a rate."""

from answerback.kernel.allowance import Allowance


def test_what_comes_at_once_rests_until_its_rate_is_kept() -> None:
    allowance = Allowance(rate=100, burst=50)

    # Given as much as may come at once
    assert allowance.rest_after(50, now=1000.0) == 0
    # When more comes, its time is waited for
    assert allowance.rest_after(10, now=1000.0) == 0.1
    # Then, after as long, nothing is owed
    assert allowance.rest_after(10, now=1000.25) == 0


def test_work_below_the_rate_never_rests() -> None:
    allowance = Allowance(rate=100, burst=50)

    assert [allowance.rest_after(10, now=each / 10) for each in range(100)] == [0.0] * 100


def test_a_long_silence_saves_up_no_more_than_the_burst() -> None:
    allowance = Allowance(rate=100, burst=50)
    allowance.rest_after(1, now=0.0)

    assert allowance.rest_after(60, now=86_400.0) == 0.1
