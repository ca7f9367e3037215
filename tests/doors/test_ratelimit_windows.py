"""The moving window, on a clock that only moves when told to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from answerback.accounts.ratelimit import IDLE_SWEEP_EVERY, MovingWindows, RateLimiter, address_of
from answerback.http.errors import RateLimited
from answerback.http.headers import RESPONSE_HEADERS
from answerback.kernel.rate import Rate, parse_rate


class Door:
    """A limiter and a clock."""

    def __init__(self, rate: Rate) -> None:
        self.now = 1_000_000.0
        self.windows = MovingWindows(lambda: self.now)
        self.limiter = RateLimiter(self.windows, rate)
        self.headers: dict[str, str] = {}

    async def knock(self, caller: str = "c") -> bool:
        request = Request({"type": "http", RESPONSE_HEADERS: []})
        try:
            await self.limiter.admit(request, caller, self.limiter.default)
            admitted = True
        except RateLimited:
            admitted = False
        self.headers = {name.decode(): value.decode() for name, value in request.scope[RESPONSE_HEADERS]}
        return admitted


@given(steps=st.lists(st.floats(0, 30), max_size=150), limit=st.integers(1, 7))
async def test_no_sixty_seconds_hold_more_than_the_limit_and_none_is_refused_that_fits(
    steps: list[float], limit: int
) -> None:
    door = Door(Rate(limit, 60))
    admitted: list[float] = []
    for step in steps:
        door.now += step
        recent = [at for at in admitted if at > door.now - 60]
        assert await door.knock() == (len(recent) < limit)
        if len(recent) < limit:
            admitted.append(door.now)


async def test_a_place_is_free_again_exactly_when_the_refusal_said() -> None:
    door = Door(Rate(2, 60))
    assert await door.knock()
    door.now += 20
    assert await door.knock()
    door.now += 5

    assert not await door.knock()
    assert door.headers["retry-after"] == door.headers["ratelimit-reset"] == "35"
    door.now += 34.9
    assert not await door.knock()
    assert door.headers["retry-after"] == "1"
    door.now += 0.1
    assert await door.knock()
    assert not await door.knock()


async def test_a_refused_request_does_not_count() -> None:
    door = Door(Rate(1, 60))
    await door.knock()
    for _ in range(59):
        door.now += 1
        assert not await door.knock()
    door.now += 1

    assert await door.knock()


async def test_callers_that_fell_silent_are_forgotten() -> None:
    door = Door(Rate(5, 60))
    for number in range(100):
        await door.knock(f"once {number}")
    door.now += 61
    for number in range(IDLE_SWEEP_EVERY):
        await door.knock(f"busy {number % 10}")
        door.now += 10

    assert len(door.windows._times) <= 10


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
def test_rates_as_operators_write_them(text: str, rate: Rate | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "often", "-1/minute", "0/minute", "1/fortnight", "1.5/second", "60"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number a second, minute, hour or day"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("host", "whom"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix socket", "unix socket"),
    ],
)
def test_whom_an_address_counts_for(host: str, whom: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1)})) == whom
