"""How often: so many in so many seconds."""

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
    """What a rate says to one request: whether it counts, how many more would, and in how many seconds the oldest of
    those that count does not any longer."""

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
