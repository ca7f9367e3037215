"""The OpenAPI document is large, and asked for without a key."""

from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from whole_api import whole_api


async def test_the_document_is_written_once_however_often_it_is_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with whole_api(path) as api:
        first = await api("GET", "/openapi.json")
        monkeypatch.setattr(JSONResponse, "render", lambda *_: pytest.fail("written again"))
        again = await api("GET", "/openapi.json")

    assert (again.status, again.raw) == (200, first.raw)
    assert again.headers["content-type"] == "application/json"
    assert "/webhook" in first.json["paths"]
