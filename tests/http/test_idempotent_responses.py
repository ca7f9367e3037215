"""A response is stored before its end is sent, so that a client that received all of it gets the same again."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.idempotency import IdempotencyRecords
from answerback.http.idempotency_store import IdempotencyStore
from answerback.http.idempotent_routes import Idempotent
from answerback.http.sse import WORDS_DONE, sse_response
from answerback.kernel.errors import ResponseNotStored
from builders import TENANT, Journal
from databases import Database

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/api/ask",
    "headers": [(b"idempotency-key", b"order-7")],
}


async def whole() -> Response:
    return Response(b"paid for", media_type="text/plain")


async def streamed() -> Response:
    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: paid for\n\n"
        yield WORDS_DONE

    return sse_response(events())


async def receive_all(message: Any) -> None:
    """A client that is there."""


async def unexpected() -> Response:
    raise AssertionError("the request was answered before")


async def stay() -> Any:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("answer", "end"), [(whole, b"paid for"), (streamed, WORDS_DONE)])
async def test_a_connection_that_breaks_at_the_end_of_a_response_costs_no_response(
    idempotency: IdempotencyStore, journal: Journal, answer: Any, end: bytes
) -> None:
    idempotent = Idempotent(IdempotencyRecords(idempotency, 60, journal))
    request = Request(SCOPE, stay)

    async def break_at_the_end(message: Any) -> None:
        if message.get("body") == end:
            raise OSError("the connection broke")

    response = await idempotent(request, TENANT, {}, answer)
    with pytest.raises(OSError, match="broke"):
        await response(SCOPE, stay, break_at_the_end)

    again = await idempotent(request, TENANT, {}, unexpected)
    assert bytes(again.body).endswith(end)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_response_that_shows_a_secret_is_sent_once_and_not_stored(
    idempotency: IdempotencyStore, journal: Journal, database: Database
) -> None:
    idempotent = Idempotent(IdempotencyRecords(idempotency, 60, journal))
    request = Request(SCOPE, stay)

    response = await idempotent(request, TENANT, {}, whole, stored=False)
    await response(SCOPE, stay, receive_all)

    with pytest.raises(ResponseNotStored):
        await idempotent(request, TENANT, {}, unexpected)
    assert await database.rows("SELECT body FROM idempotency_records") == [(None,)]
