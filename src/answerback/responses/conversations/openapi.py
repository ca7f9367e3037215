"""What the OpenAPI document says of conversations."""

from typing import Any

from answerback.http.bodies import body_schema
from answerback.http.openai_errors import openai_errors, openai_refusal
from answerback.http.openapi_parts import KEY_REASONS, NOT_JSON
from answerback.responses.conversations.request import ConversationChanges, NewConversation, NewItems
from answerback.responses.openapi_parts import EXAMPLE_ITEM, EXAMPLE_LIST, body_of

EXAMPLE_ID = "conv_01a1fc8454427e0488ed70bfee41f52c"
_METADATA = {"topic": "parcels"}
_CONVERSATION = {"id": EXAMPLE_ID, "object": "conversation", "created_at": 1_767_225_600, "metadata": _METADATA}
_ASKED = {"role": "user", "content": "Say hello."}
CREATE_BODY = body_schema(NewConversation, {"items": [_ASKED], "metadata": _METADATA}) | {"required": False}
CHANGE_BODY = body_schema(ConversationChanges, {"metadata": _METADATA})
ADD_BODY = body_schema(NewItems, {"items": [_ASKED]})

_READ: dict[int | str, dict[str, Any]] = openai_errors(**KEY_REASONS) | openai_refusal(
    404,
    "There is no such conversation among yours, or it has no such item",
    "not_found",
    f"there is no conversation {EXAMPLE_ID!r}: it was never created, or is deleted",
)
_SENT = openai_errors(
    **{
        **KEY_REASONS,
        "_400": "A parameter is wrong; `param` names it",
        "_409": "The Idempotency-Key was used with another body, or its first request is still being answered",
        "_413": "The body is larger than 32 MiB",
        "_415": NOT_JSON,
    }
)
_REFUSED = openai_refusal(
    400, "A parameter is wrong; `param` names it", "invalid_value", "'limit' must be a number from 1 to 100"
)
_SHOWN: dict[int | str, dict[str, Any]] = {200: body_of("The conversation", _CONVERSATION)}
CONVERSATION_RESPONSES: dict[int | str, dict[str, Any]] = {**_SHOWN, **_SENT}
READ_RESPONSES: dict[int | str, dict[str, Any]] = {**_SHOWN, **_READ}
UNREAD_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: body_of("The item is deleted; this is its conversation", _CONVERSATION),
    **_READ,
}
DELETED_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: body_of("It is deleted", {"id": EXAMPLE_ID, "object": "conversation.deleted", "deleted": True}),
    **_READ,
}
ITEM_RESPONSES: dict[int | str, dict[str, Any]] = {200: body_of("The items, with their ids", EXAMPLE_LIST), **_SENT}
LIST_RESPONSES: dict[int | str, dict[str, Any]] = {200: body_of("A page of items", EXAMPLE_LIST), **_READ, **_REFUSED}
READ_ITEM_RESPONSES: dict[int | str, dict[str, Any]] = {200: body_of("The item", EXAMPLE_ITEM), **_READ}
