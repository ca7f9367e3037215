"""Rates as operators write them."""

import pytest

from answerback.kernel.rate import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/minute", Rate(60, 60)),
        (" 1000 per hour ", Rate(1000, 3600)),
        ("5/second", Rate(5, 1)),
        ("1 / day", Rate(1, 86_400)),
        ("0", None),
    ],
)
def test_a_rate_is_a_number_in_a_time(text: str, rate: Rate | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "often", "-1/minute", "0/minute", "1/fortnight", "1.5/second", "60"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number a second, minute, hour or day"):
        parse_rate(text)
