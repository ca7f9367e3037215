"""Each call of a benchmark counts against its caller's rate, like a request."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from whole_api import Api, Reply, whole_api


@pytest.fixture
async def api(path: Path, tmp_path: Path) -> AsyncIterator[Api]:
    settings = {"rate_limit": "10/minute", "mock_delay_seconds": 0, "benchmarks_dir": tmp_path / "benchmarks"}
    async with whole_api(path, **settings) as api:
        yield api


async def bench(api: Api, runs: int, **headers: str) -> Reply:
    """One prompt, so many calls."""
    form = (
        '--x\r\ncontent-disposition: form-data; name="prompt_file"; filename="p"\r\n\r\nWhy?\r\n'
        f'--x\r\ncontent-disposition: form-data; name="runs"\r\n\r\n{runs}\r\n--x--\r\n'
    )
    content_type = "multipart/form-data; boundary=x"
    return await api("POST", "/benchmark", body=form.encode(), content_type=content_type, **headers)


def left(reply: Reply) -> int:
    return int(reply.headers["RateLimit-Remaining"])


async def test_a_benchmark_counts_as_many_requests_as_it_makes_calls(api: Api) -> None:
    measured = await bench(api, 4)
    refused = await bench(api, 7)
    asked = await api("POST", "/api/ask", body={"question": "Why?"})

    assert (measured.status, left(measured)) == (200, 6)
    assert measured.json["overall"]["calls"] == 4
    assert (refused.status, refused.code, left(refused)) == (429, "rate_limited", 5)
    assert 50 < int(refused.headers["Retry-After"]) <= 60
    assert (asked.status, left(asked)) == (200, 4)


async def test_more_calls_than_a_rate_ever_allows_are_not_worth_a_retry(api: Api) -> None:
    refused = await bench(api, 100)

    assert (refused.status, refused.headers["x-should-retry"]) == (429, "false")
    assert "more calls than your rate ever admits, 10 requests a minute" in refused.json["detail"]


async def test_a_repeated_benchmark_that_is_stored_counts_as_one_request(api: Api) -> None:
    first = await bench(api, 4, idempotency_key="a")
    again = await bench(api, 4, idempotency_key="a")

    assert (first.json, left(again)) == (again.json, 5)
