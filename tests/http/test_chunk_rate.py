"""What strangers share of the time that chunks cost: each tenant's have the same part of it."""

import pytest

from answerback.http.chunk_rate import BUSY_SECONDS, CHUNKS_A_SECOND, CHUNKS_AT_ONCE, SharedAllowance


def test_those_that_serve_one_tenant_slow_down_no_other_tenants() -> None:
    shared = SharedAllowance()
    flooded = [shared.rest_after("busy", 1_000, 0.0) for _ in range(100)]

    assert flooded[-1] == pytest.approx((100_000 - CHUNKS_AT_ONCE) / CHUNKS_A_SECOND)
    assert shared.rest_after("other", 1_000, 0.0) == 0.0


def test_together_they_send_as_much_as_one() -> None:
    shared, sent, rests = SharedAllowance(), 0, {"a": 0.0, "b": 0.0, "c": 0.0}
    for moment in range(1_000):
        for each in [each for each, until in rests.items() if until <= moment / 100]:
            sent += 100
            rests[each] = moment / 100 + shared.rest_after(each, 100, moment / 100)

    assert sent == pytest.approx(10 * CHUNKS_A_SECOND, rel=0.1)


def test_a_tenant_whose_strangers_are_silent_leaves_its_part_and_nothing_else() -> None:
    shared = SharedAllowance()
    for n in range(1_000):
        shared.rest_after(f"tenant-{n}", 1, 0.0)

    rest = shared.rest_after("last", CHUNKS_AT_ONCE + CHUNKS_A_SECOND, BUSY_SECONDS)

    assert rest == pytest.approx(1.0)
    assert shared._of.keys() == {"last"}
