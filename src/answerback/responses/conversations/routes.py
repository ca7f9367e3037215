"""`/v1/conversations`, as OpenAI's."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_bodies import read_object
from answerback.http.openai_errors import InvalidParameter, OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.kernel.json import Json
from answerback.responses.body import shown
from answerback.responses.conversations.model import Conversation
from answerback.responses.conversations.openapi import (
    ADD_BODY,
    CHANGE_BODY,
    CONVERSATION_RESPONSES,
    CREATE_BODY,
    DELETED_RESPONSES,
    EXAMPLE_ID,
    ITEM_RESPONSES,
    LIST_RESPONSES,
    READ_ITEM_RESPONSES,
    READ_RESPONSES,
    UNREAD_RESPONSES,
)
from answerback.responses.conversations.request import items_in, metadata_of
from answerback.responses.conversations.store import ConversationLog
from answerback.responses.openapi_parts import INCLUDE_QUERY, ITEM_QUERIES
from answerback.responses.paging import json_response, listed, page_query, seals

ROOT = "/v1/conversations"
PATH = "/conversations/{conversation_id}"
ITEM_PATH = PATH + "/items/{item_id}"

ConversationId = Annotated[str, Path(description="A conversation's `id`.", examples=[EXAMPLE_ID])]
ItemId = Annotated[str, Path(description="An item's `id`.")]


def router(log: ConversationLog, authenticator: Authenticator, idempotent: Idempotent) -> APIRouter:
    """`/v1/conversations…`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)
    _add_create(router, log, authenticator, idempotent)
    _add_conversation(router, log, authenticator, idempotent)
    _add_items(router, log, authenticator, idempotent)
    _add_item(router, log, authenticator)
    return router


def _add_create(router: APIRouter, log: ConversationLog, authenticator: Authenticator, idempotent: Idempotent) -> None:
    @router.post(
        "/conversations",
        summary="Create a conversation, as OpenAI's",
        response_model=None,
        responses=CONVERSATION_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": CREATE_BODY},
    )
    async def create_conversation(request: Request) -> Response:
        """With up to 20 items that were said already. Responses with this `conversation` go on from it. It is kept with
        its items until `RETENTION_DAYS` after its last use."""
        tenant_id = await authenticator.tenant(request)
        wanted = """send {"items": […], "metadata": {…}}"""
        body = await read_object(request, wanted) if await request.body() else {}
        items, metadata = items_in(body, required=False), metadata_of(body, required=False)

        async def create() -> Response:
            return json_response(_body(await log.create(tenant_id, items, metadata)))

        return await idempotent(request, tenant_id, body, create)


def _add_conversation(
    router: APIRouter, log: ConversationLog, authenticator: Authenticator, idempotent: Idempotent
) -> None:
    @router.get(PATH, summary="A conversation", response_model=None, responses=READ_RESPONSES)
    async def get_conversation(request: Request, conversation_id: ConversationId) -> Response:
        """Without its items. Counts against no rate."""
        tenant_id = await authenticator.polling_tenant(request)
        return json_response(_body(await log.get(tenant_id, conversation_id)))

    @router.post(
        PATH,
        summary="Change a conversation's metadata",
        response_model=None,
        responses=READ_RESPONSES | CONVERSATION_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": CHANGE_BODY},
    )
    async def update_conversation(request: Request, conversation_id: ConversationId) -> Response:
        """The new metadata replace the old."""
        tenant_id = await authenticator.tenant(request)
        body = await read_object(request, """send {"metadata": {…}}""")
        metadata = metadata_of(body, required=True)

        async def change() -> Response:
            return json_response(_body(await log.change(tenant_id, conversation_id, metadata)))

        return await idempotent(request, tenant_id, body, change)

    @router.delete(PATH, summary="Delete a conversation", response_model=None, responses=DELETED_RESPONSES)
    async def delete_conversation(request: Request, conversation_id: ConversationId) -> Response:
        """With its items. Responses that wait in it fail; those that were answered are deleted by themselves."""
        tenant_id = await authenticator.tenant(request)
        await log.delete(tenant_id, conversation_id)
        return json_response({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


def _add_items(router: APIRouter, log: ConversationLog, authenticator: Authenticator, idempotent: Idempotent) -> None:
    @router.post(
        PATH + "/items",
        summary="Add items to a conversation",
        response_model=None,
        responses=READ_RESPONSES | ITEM_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY, INCLUDE_QUERY], "requestBody": ADD_BODY},
    )
    async def create_conversation_items(request: Request, conversation_id: ConversationId) -> Response:
        """Behind all that is there. A response that was asked for before them does not read them."""
        tenant_id = await authenticator.tenant(request)
        body = await read_object(request, """send {"items": […]}""")
        items, sealed = items_in(body, required=True), seals(request)

        async def add() -> Response:
            added = await log.add(tenant_id, conversation_id, items)
            return json_response(listed(shown(added, sealed=sealed), has_more=False))

        return await idempotent(request, tenant_id, body, add)

    @router.get(
        PATH + "/items",
        summary="What was said in a conversation",
        response_model=None,
        responses=LIST_RESPONSES,
        openapi_extra=ITEM_QUERIES,
    )
    async def list_conversation_items(request: Request, conversation_id: ConversationId) -> Response:
        """Newest first. A page may have fewer items than `limit` where they are large: `has_more` says whether there
        are others."""
        tenant_id = await authenticator.polling_tenant(request)
        query = page_query(request)
        page = await log.page(tenant_id, conversation_id, query.after, query.limit, newest_first=query.newest_first)
        if page is None:
            raise InvalidParameter("after", f"this conversation has no item {(query.after or '')[:100]!r}")
        return json_response(listed(shown(page.items, sealed=seals(request)), has_more=page.has_more))


def _add_item(router: APIRouter, log: ConversationLog, authenticator: Authenticator) -> None:
    @router.get(
        ITEM_PATH,
        summary="An item of a conversation",
        response_model=None,
        responses=READ_ITEM_RESPONSES,
        openapi_extra={"parameters": [INCLUDE_QUERY]},
    )
    async def get_conversation_item(request: Request, conversation_id: ConversationId, item_id: ItemId) -> Response:
        """Counts against no rate."""
        tenant_id = await authenticator.polling_tenant(request)
        item = await log.item(tenant_id, conversation_id, item_id)
        return json_response(shown([item], sealed=seals(request))[0])

    @router.delete(
        ITEM_PATH, summary="Delete an item of a conversation", response_model=None, responses=UNREAD_RESPONSES
    )
    async def delete_conversation_item(request: Request, conversation_id: ConversationId, item_id: ItemId) -> Response:
        """Answers with the conversation."""
        tenant_id = await authenticator.tenant(request)
        return json_response(_body(await log.delete_item(tenant_id, conversation_id, item_id)))


def _body(conversation: Conversation) -> dict[str, Json]:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created_at // 1000,
        "metadata": conversation.metadata,
    }
