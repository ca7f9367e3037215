"""Texts in queries, of all routes: rows are looked up by them."""

from collections.abc import Iterator
from typing import Any

import pytest

from whole_api import Api, shared_api

api = shared_api()
pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_LOOKED_UP = {"after", "order", "token"}


async def texts(api: Api) -> list[tuple[str, str, str]]:
    """Method, path and name of each parameter by which rows are looked up."""
    paths = (await api("GET", "/openapi.json")).json["paths"]
    return [
        (method.upper(), path, each["name"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each["name"] not in NOT_LOOKED_UP and "string" in types(each["schema"])
    ]


def types(schema: Any) -> Iterator[str | None]:
    return (each.get("type") for each in schema.get("anyOf", [schema]))


@pytest.mark.parametrize(
    ("text", "why"), [("%00", "NUL characters"), ("x" * 3000, "characters")], ids=["a NUL", "too long"]
)
async def test_a_text_that_no_row_can_have_is_refused_by_its_name(api: Api, text: str, why: str) -> None:
    found = await texts(api)
    assert ("GET", "/v1/sessions/{key}", "session_id") in found

    for method, path, name in found:
        reply = await api(method, f"{path}?{name}={text}")

        assert (reply.status, reply.code) == (422, "validation_error"), (method, path)
        (error,) = reply.json["detail"]
        assert error["loc"] == ["query", name]
        assert why in error["msg"] or name in ("since", "until", "before")
