"""Tenants' weights reach what they share, in processes that only accept requests, too."""

from pathlib import Path
from typing import Any

import pytest

from answerback.bootstrap import upstreams
from answerback.kernel.shares import Weights
from answerback.llm.limiter import UpstreamLimiter
from databases import SqliteDatabase
from eventually import eventually
from whole_api import whole_api


async def test_an_upstream_is_shared_by_the_weights_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Weights] = []

    def limiter(*limits: Any, weights: Weights, **more: Any) -> UpstreamLimiter:
        given.append(weights)
        return UpstreamLimiter(*limits, weights=weights, **more)

    monkeypatch.setattr(upstreams, "UpstreamLimiter", limiter)
    path = tmp_path / "a.db"
    async with whole_api(path, mock_mode=False, openai_api_key="key", openai_base_url="http://127.0.0.1:9/v1") as api:
        await SqliteDatabase(path).execute("INSERT INTO tenants (id, weight, created_at) VALUES ('heavy', 4, 0)")

        for each in api.service.background:
            each.start()

        await eventually(lambda: given[0].of("heavy") == 4, "reading the weights")
