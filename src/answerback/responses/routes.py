"""OpenAI's responses: created, fetched, deleted."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.headers import REPLAYED, idempotency_key
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_bodies import read_object
from answerback.http.openai_errors import InvalidParameter, OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.http.responses import JSON
from answerback.kernel.errors import NotFound
from answerback.kernel.json import Json
from answerback.responses.background import Background
from answerback.responses.body import response_body, shown
from answerback.responses.context import said
from answerback.responses.create import Responder, name_ignored
from answerback.responses.model import SEALED, Item
from answerback.responses.openapi_parts import (
    CANCELLED_RESPONSES,
    CREATE_BODY,
    CREATE_RESPONSES,
    DELETED_RESPONSES,
    EXAMPLE_ID,
    ITEM_QUERIES,
    ITEMS_RESPONSES,
    RESPONSE_QUERIES,
    SHOWN_RESPONSES,
)
from answerback.responses.request import asked as read_asked
from answerback.responses.store import ResponseStore
from answerback.responses.stored_streams import StoredStreams
from answerback.responses.tools import Toolbox

PATH = "/v1/responses"
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of a request: histories and images are long."""
MAX_VALUES = 100_000
"""Of JSON in a request: a history of thousands of items has fewer."""

WANTED = """send {"model": …, "input": …} with 'Content-Type: application/json'"""
DEFAULT_PAGE, LARGEST_PAGE = 20, 100
LONGEST_NUMBER = 15

ResponseId = Annotated[str, Path(description="A response's `id`.", examples=[EXAMPLE_ID])]


def router(
    responder: Responder,
    background: Background,
    streams: StoredStreams,
    store: ResponseStore,
    authenticator: Authenticator,
    idempotent: Idempotent,
    default_model: str,
) -> APIRouter:
    """`/v1/responses…`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

    @router.post(
        "/responses",
        summary="Create a response, as OpenAI's",
        response_model=None,
        responses=CREATE_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": CREATE_BODY},
    )
    async def create_response(request: Request) -> Response:
        """Any chat model answers: the request is asked as a chat completion, and its answer comes back as items. Tools
        of the types `function`, `custom` and `namespace` are called by the client; those that OpenAI runs itself are
        left out and named in `x-answerback-ignored-tools`, or refused where nothing else was offered.

        With `stream: true` the response comes as OpenAI's events. The status waits up to 15 s for the first token. A
        stream that breaks ends with `response.failed`, never with `response.completed`. A response is stored, unless
        `store` is false, before its end is sent.

        With `background: true` the response comes at once, as `queued`, and is answered by a worker, also after a
        restart. With `stream: true` as well its events come meanwhile; hanging up stops nothing. Webhook endpoints that
        subscribed to `response.completed`, `.incomplete`, `.failed` or `.cancelled` hear of its end.
        """
        tenant_id = await authenticator.tenant(request)
        body = await read_object(request, WANTED, MAX_VALUES)
        asked = read_asked(body)
        if asked.background:
            found, created = await background.start(tenant_id, asked, idempotency_key(request))
            if asked.streamed:
                response = streams.stream(tenant_id, found)
            else:
                response = _json(found.opening(default_model, "queued"))
            if not created:
                response.headers.update(REPLAYED)
            name_ignored(response, Toolbox.of(asked.parameters))
            return response
        return await idempotent(
            request, tenant_id, body, lambda: responder.respond(tenant_id, asked), streamed=asked.streamed
        )

    _add_reads(router, streams, store, authenticator, default_model)
    _add_ends(router, background, authenticator)
    return router


def _add_reads(
    router: APIRouter, streams: StoredStreams, store: ResponseStore, authenticator: Authenticator, default_model: str
) -> None:
    @router.get(
        "/responses/{response_id}",
        summary="A stored response",
        response_model=None,
        responses=SHOWN_RESPONSES,
        openapi_extra=RESPONSE_QUERIES,
    )
    async def get_response(request: Request, response_id: ResponseId) -> Response:
        """Stored for `RETENTION_DAYS`, unless it was created with `store: false`. Counts against no rate.

        With `stream=true` a response that was created with `background` and `stream` comes as its events, as often as
        you like, from the first one or from behind `starting_after`: each once, in order, also those of before a
        restart of the service.
        """
        tenant_id = await authenticator.polling_tenant(request)
        found = await store.get(tenant_id, response_id)
        if request.query_params.get("stream", "").lower() in ("true", "1"):
            return streams.stream(tenant_id, found, _after(request.query_params.get("starting_after")))
        asked = found.asked.including(_included(request))
        return _json(response_body(asked, found.progress(default_model), stored=True))

    @router.get(
        "/responses/{response_id}/input_items",
        summary="What a response was made of",
        response_model=None,
        responses=ITEMS_RESPONSES,
        openapi_extra=ITEM_QUERIES,
    )
    async def list_input_items(request: Request, response_id: ResponseId) -> Response:
        """The items of its input behind those of the responses before it, without `instructions`. Newest first."""
        tenant_id = await authenticator.polling_tenant(request)
        *before, last = await store.with_ancestors(tenant_id, response_id)
        items = [*said(before), *last.input_items]
        return _json(_page(request, shown(items, sealed=SEALED in _included(request))))


def _add_ends(router: APIRouter, background: Background, authenticator: Authenticator) -> None:
    @router.delete(
        "/responses/{response_id}", summary="Delete a response", response_model=None, responses=DELETED_RESPONSES
    )
    async def delete_response(request: Request, response_id: ResponseId) -> Response:
        """Nothing can go on from it any more, nor from those that went on from it."""
        tenant_id = await authenticator.tenant(request)
        await background.delete(tenant_id, response_id)
        return _json({"id": response_id, "object": "response", "deleted": True})

    @router.post(
        "/responses/{response_id}/cancel",
        summary="Cancel a background response",
        response_model=None,
        responses=CANCELLED_RESPONSES,
    )
    async def cancel_response(request: Request, response_id: ResponseId) -> Response:
        """Cancelling twice is no error, and one that has ended stays as it is. A response whose caller waits is
        cancelled by hanging up."""
        tenant_id = await authenticator.tenant(request)
        return _json(await background.cancel(tenant_id, response_id))

    @router.post("/responses/compact", include_in_schema=False)
    @router.post("/responses/input_tokens", include_in_schema=False)
    async def refuse(request: Request) -> Response:
        """Paths of OpenAI's that would be ids of responses."""
        await authenticator.tenant(request)
        raise NotFound(f"{request.scope['path']} is not offered here; '/docs' lists what there is")


def _page(request: Request, items: list[Item]) -> dict[str, Json]:
    given = request.query_params
    order, after = given.get("order") or "desc", given.get("after")
    if order not in ("asc", "desc"):
        raise InvalidParameter("order", "'order' must be 'asc' or 'desc'")
    if order == "desc":
        items.reverse()
    if after:
        place = next((n for n, item in enumerate(items) if item["id"] == after), None)
        if place is None:
            raise InvalidParameter("after", f"this response has no item {after[:100]!r}")
        items = items[place + 1 :]
    limit = _limit(given.get("limit"))
    page = items[:limit]
    ends = {"first_id": page[0]["id"] if page else "", "last_id": page[-1]["id"] if page else ""}
    return {"object": "list", "data": page, **ends, "has_more": len(items) > limit}


def _limit(given: str | None) -> int:
    if not given:
        return DEFAULT_PAGE
    number = given.isascii() and given.isdigit() and len(given) <= len(str(LARGEST_PAGE))
    if not number or not 1 <= int(given) <= LARGEST_PAGE:
        raise InvalidParameter("limit", f"'limit' must be a number from 1 to {LARGEST_PAGE}")
    return int(given)


def _after(given: str | None) -> int:
    """The number that a stream begins behind."""
    if not given:
        return -1
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        raise InvalidParameter("starting_after", "'starting_after' must be the sequence_number of an event")
    return int(given)


def _included(request: Request) -> Sequence[str]:
    query = request.query_params
    return [*query.getlist("include[]"), *query.getlist("include")]


def _json(body: Any) -> Response:
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), 200, media_type=JSON)
