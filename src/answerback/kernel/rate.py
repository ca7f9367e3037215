"""Rates: so many requests in so many seconds."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"([1-9][0-9]{0,8})\s*(?:/|\s+per\s+)\s*(second|minute|hour|day)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Rate:
    """`amount` in any `seconds`."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A rate limit's verdict on one request: whether it is admitted, how many more would be, and in how many seconds
    the oldest counted request leaves the window."""

    admitted: bool
    remaining: int
    seconds: float


def parse_rate(text: str) -> Rate | None:
    """`60/minute` or `60 per minute`, and so on; None for `0`, which is no limit. Raises ValueError."""
    if text.strip() == "0":
        return None
    found = _FORM.fullmatch(text.strip())
    if found is None:
        wanted = "a number a second, minute, hour or day, such as 60/minute, or 0"
        raise ValueError(f"is {text[:60]!r} but must be {wanted}")
    return Rate(int(found[1]), _SECONDS[found[2]])
