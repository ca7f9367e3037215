"""A header costs about what its bytes cost, whatever it holds: one request holds up no other."""

import time

import pytest

from answerback.http.headers import with_plain_cookies
from whole_api import Api, shared_api

pytestmark = pytest.mark.asyncio(loop_scope="module")
api = shared_api(mock_delay_seconds=0)

SIZE = 60_000
COOKIES = {
    "backslashes": 'a="' + "\\" * SIZE + '"',
    "octets": 'a="' + "\\1" * (SIZE // 2) + '"',
    "quotes": 'a="' + '\\"' * (SIZE // 2) + '"',
    "names": "a=;" * (SIZE // 3),
    "marks": '"' * SIZE,
}


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/v1/session", "/webhook"])
@pytest.mark.parametrize("cookie", COOKIES)
async def test_no_client_chooses_what_its_cookies_cost(cookie: str, path: str, api: Api) -> None:
    """Given cookies that Python's own parser read for seconds; it takes a tenth of the bound."""
    began = time.thread_time()

    reply = await api("GET", path, cookie=COOKIES[cookie])

    assert reply.status in (200, 405)
    assert time.thread_time() - began < 0.25


async def test_other_cookies_are_read_beside_one_that_cannot_be() -> None:
    cookies = [(b"cookie", b'a="\\\\"; answerback_key=k; b=c'), (b"x", b"\\"), (b"cookie", b"d=e")]

    assert with_plain_cookies(cookies) == [(b"cookie", b" answerback_key=k; b=c"), (b"x", b"\\"), (b"cookie", b"d=e")]
