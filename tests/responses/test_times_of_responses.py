"""A response says the same of its times whenever it is fetched."""

from itertools import count
from pathlib import Path

import pytest

from answerback.kernel.clock import SystemClock
from whole_api import whole_api


async def test_its_end_is_the_same_second_in_the_answer_and_in_the_store(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each reading of the clock is a second later than the one before.
    seconds = count(1_800_000_000)
    async with whole_api(path) as api:
        monkeypatch.setattr(SystemClock, "now", lambda _: next(seconds) * 1000)

        made = await api("POST", "/v1/responses", body={"input": "hi"})

        fetched = await api("GET", f"/v1/responses/{made.json['id']}")
    assert made.status == fetched.status == 200
    assert made.json["completed_at"] > made.json["created_at"]
    assert fetched.json["completed_at"] == made.json["completed_at"]
