"""A fault of the service is a 500 as its route renders errors, and one traceback in the log."""

from pathlib import Path
from typing import Any

import pytest

from answerback.jobs.store import JobStore
from answerback.responses.context import Contexts
from answerback.responses.stored.store import ResponseStore
from whole_api import Api, whole_api


class Bug(Exception):
    """What nobody foresaw."""


async def broken(*_: Any, **__: Any) -> Any:
    raise Bug


@pytest.mark.parametrize(
    ("method", "route", "store", "operation"),
    [
        ("GET", "/v1/responses/resp_1", ResponseStore, "get"),
        ("POST", "/v1/responses", Contexts, "resolve"),
    ],
    ids=["FastAPI calls it", "it is called directly"],
)
async def test_on_openais_routes_it_is_openais_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, method: str, route: str, store: type, operation: str
) -> None:
    monkeypatch.setattr(store, operation, broken)
    async with whole_api(path) as api:
        reply = await api(method, route, body={"input": "hi"} if method == "POST" else None)

        assert (reply.status, reply.json["error"]["type"], reply.code) == (500, "server_error", "internal")
        assert reply.json["error"]["message"].endswith(reply.headers["x-request-id"])
        assert events(api).count("fault") == 1


async def test_on_ours_it_is_ours(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobStore, "list", broken)
    async with whole_api(path) as api:
        reply = await api("GET", "/v1/jobs")

        assert (reply.status, reply.code, reply.json["detail"]) == (500, "internal", reply.json["error"]["message"])
        assert events(api).count("fault") == 1


def events(api: Api) -> list[str]:
    log: Any = api.service.process.instruments.log
    return [event for event, _ in log.lines]
