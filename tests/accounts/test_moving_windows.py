"""The moving window, on a clock that a test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from answerback.accounts.ratelimit import IDLE_SWEEP_EVERY, MovingWindows, RateLimiter, address_of
from answerback.http.errors import RateLimited
from answerback.http.headers import RESPONSE_HEADERS
from answerback.kernel.rate import Rate, Standing


class Limited:
    """A limiter and a clock."""

    def __init__(self, rate: Rate) -> None:
        self.now = 1_000_000.0
        self.windows = MovingWindows(lambda: self.now)
        self.limiter = RateLimiter(self.windows, rate)
        self.headers: dict[str, str] = {}

    async def admits(self, caller: str = "c") -> bool:
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
    limited = Limited(Rate(limit, 60))
    admitted: list[float] = []
    for step in steps:
        limited.now += step
        recent = [at for at in admitted if at > limited.now - 60]
        assert await limited.admits() == (len(recent) < limit)
        if len(recent) < limit:
            admitted.append(limited.now)


async def test_many_calls_are_admitted_all_or_none_when_so_many_have_left() -> None:
    now = 1_000.0
    windows = MovingWindows(lambda: now)
    rate = Rate(5, 60)
    assert (await windows.hit("c", rate, 2)).remaining == 3
    now += 10
    assert (await windows.hit("c", rate, 2)).remaining == 1

    assert await windows.hit("c", rate, 2) == Standing(admitted=False, remaining=1, seconds=50)
    assert await windows.hit("c", rate, 4) == Standing(admitted=False, remaining=1, seconds=60)
    assert not (await windows.hit("c", rate, 6)).admitted
    assert not (await windows.hit("another", rate, 6)).admitted
    now += 50
    assert await windows.hit("c", rate, 3) == Standing(admitted=True, remaining=0, seconds=10)


async def test_a_request_is_admitted_again_exactly_when_the_refusal_said() -> None:
    limited = Limited(Rate(2, 60))
    assert await limited.admits()
    limited.now += 20
    assert await limited.admits()
    limited.now += 5

    assert not await limited.admits()
    assert limited.headers["retry-after"] == limited.headers["ratelimit-reset"] == "35"
    limited.now += 34.9
    assert not await limited.admits()
    assert limited.headers["retry-after"] == "1"
    limited.now += 0.1
    assert await limited.admits()
    assert not await limited.admits()


async def test_a_refused_request_does_not_count() -> None:
    limited = Limited(Rate(1, 60))
    await limited.admits()
    for _ in range(59):
        limited.now += 1
        assert not await limited.admits()
    limited.now += 1

    assert await limited.admits()


async def test_callers_that_have_made_no_request_for_long_are_forgotten() -> None:
    limited = Limited(Rate(5, 60))
    for number in range(100):
        await limited.admits(f"once {number}")
    limited.now += 61
    for number in range(IDLE_SWEEP_EVERY):
        await limited.admits(f"busy {number % 10}")
        limited.now += 10

    assert len(limited.windows._times) <= 10


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("garbage", "unknown"),
        ("more garbage", "unknown"),
    ],
)
def test_what_an_address_counts_for(host: str, counted: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1)})) == counted
