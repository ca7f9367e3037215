"""OpenAI's responses: created, fetched, deleted."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.openai_bodies import read_object
from answerback.http.openai_errors import InvalidParameter, OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.kernel.errors import NotFound
from answerback.responses.background import Background
from answerback.responses.body import response_body, shown
from answerback.responses.context import Contexts
from answerback.responses.dispatch import Dispatcher
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
from answerback.responses.paging import included, json_response, page_of, seals
from answerback.responses.stored.store import ResponseStore
from answerback.responses.stored.streams import StoredStreams

PATH = "/v1/responses"
WANTED = """send {"model": …, "input": …} with 'Content-Type: application/json'"""
LONGEST_NUMBER = 15

ResponseId = Annotated[str, Path(description="A response's `id`.", examples=[EXAMPLE_ID])]


def router(
    dispatcher: Dispatcher,
    background: Background,
    streams: StoredStreams,
    store: ResponseStore,
    contexts: Contexts,
    authenticator: Authenticator,
    default_model: str,
) -> APIRouter:
    """`/v1/responses…`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)
    _add_create(router, dispatcher, authenticator)
    _add_refusals(router, authenticator)
    _add_reads(router, streams, store, contexts, authenticator, default_model)
    _add_ends(router, background, authenticator)
    return router


def _add_create(router: APIRouter, dispatcher: Dispatcher, authenticator: Authenticator) -> None:
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
        left out and named in `x-answerback-ignored-tools`, or refused where nothing else was offered. A model that does
        not know `reasoning.effort`, `text.verbosity`, `parallel_tool_calls` or `user` is asked without it;
        `x-answerback-ignored-parameters` names it, but for responses with a key or a conversation or in the background.

        With `stream: true` the response comes as OpenAI's events. The status waits up to 15 s for the first token. A
        stream that breaks ends with `response.failed`, never with `response.completed`. A response is stored, unless
        `store` is false, before its end is sent.

        With `background: true` the response comes at once, as `queued`, and is answered by a worker, also after a
        restart. With `stream: true` as well its events come meanwhile; hanging up stops nothing. Webhook endpoints that
        subscribed to `response.completed`, `.incomplete`, `.failed` or `.cancelled` hear of its end. An SDK that lost
        its connection and sends the same request again by itself gets the same response.

        With a `conversation` the response goes on from its items, and input and output are added to them once it is
        whole. Requests for one conversation that come at the same time are answered in their order.

        With an `Idempotency-Key` the response is answered once, also where its client hangs up or the service is
        killed: the same request later waits for it, and gets it.
        """
        caller = await authenticator.caller(request)
        return await dispatcher.respond(request, caller, await read_object(request, WANTED))


def _add_refusals(router: APIRouter, authenticator: Authenticator) -> None:
    @router.api_route("/responses/compact", methods=["GET", "POST", "DELETE"], include_in_schema=False)
    @router.api_route("/responses/input_tokens", methods=["GET", "POST", "DELETE"], include_in_schema=False)
    async def refuse(request: Request) -> Response:
        """Paths of OpenAI's that would be ids of responses."""
        await authenticator.tenant(request)
        raise NotFound(f"{request.scope['path']} is not offered here; '/docs' lists what there is")


def _add_reads(
    router: APIRouter,
    streams: StoredStreams,
    store: ResponseStore,
    contexts: Contexts,
    authenticator: Authenticator,
    default_model: str,
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
        after = _after(request.query_params.get("starting_after"))
        if _streamed(request.query_params.get("stream")):
            return streams.stream(tenant_id, found, after)
        asked = found.asked.including(included(request))
        return json_response(response_body(asked, found.progress(default_model), stored=True))

    @router.get(
        "/responses/{response_id}/input_items",
        summary="What a response was made of",
        response_model=None,
        responses=ITEMS_RESPONSES,
        openapi_extra=ITEM_QUERIES,
    )
    async def list_input_items(request: Request, response_id: ResponseId) -> Response:
        """The items of its input behind those of the responses before it, or of its conversation, without
        `instructions`. Newest first."""
        tenant_id = await authenticator.polling_tenant(request)
        items = await contexts.read_by(tenant_id, response_id)
        return json_response(page_of(request, shown(items, sealed=seals(request))))


def _add_ends(router: APIRouter, background: Background, authenticator: Authenticator) -> None:
    @router.delete(
        "/responses/{response_id}", summary="Delete a response", response_model=None, responses=DELETED_RESPONSES
    )
    async def delete_response(request: Request, response_id: ResponseId) -> Response:
        """Nothing can go on from it any more, nor from those that went on from it."""
        tenant_id = await authenticator.tenant(request)
        await background.delete(tenant_id, response_id)
        return json_response({"id": response_id, "object": "response", "deleted": True})

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
        return json_response(await background.cancel(tenant_id, response_id))


def _streamed(given: str | None) -> bool:
    match (given or "false").lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise InvalidParameter("stream", "'stream' must be true or false")


def _after(given: str | None) -> int:
    """The number that a stream begins behind."""
    if not given:
        return -1
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        raise InvalidParameter("starting_after", "'starting_after' must be the sequence_number of an event")
    return int(given)
