"""Retry-After in all its forms."""

import pytest

from answerback.kernel.retry import parse_retry_after

NOW_MS = 1_750_000_000_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), (" 120 ", 120.0), ("1.5", 1.5), ("Sun, 15 Jun 2025 15:07:40 GMT", 60.0)],
)
def test_seconds_and_moments_are_read(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW_MS) == seconds


@pytest.mark.parametrize(
    "value",
    [None, "-5", "soon", "", "1.", "٣", "9" * 4000, "Sun, 15 Jun 2025 15:06:39 GMT", "Sun, 99 Jun 2025 99:99:99"],
)
def test_a_senseless_wait_is_none(value: str | None) -> None:
    assert parse_retry_after(value, NOW_MS) is None
