"""What a conversation remembers, and erasing it."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.conversations.superseded.memory import Conversations
from answerback.http.errors import json_response
from answerback.http.openapi_parts import ENDED_AT, JOB, JOB_ERRORS, errors, shown
from answerback.jobs.callbacks import rfc3339
from answerback.jobs.model import Conversation


class _KeyConvertor(PathConvertor):
    """Whatever follows, line breaks too: `.*` would end before one, and find the conversation of another name."""

    regex = "(?s:.*)"


register_url_convertor("conversation_key", _KeyConvertor())


_SAID = {"seq": 1, "role": "user", "content": "Where is my parcel?", "job_id": JOB, "created_at": ENDED_AT}
_ANSWERED = {"role": "assistant", "content": "It left the depot this morning."}

ConversationKey = Annotated[
    str, Path(description="The session_id, or the callback URL, percent-encoded.", examples=["customer-42"])
]


class MessageBody(BaseModel):
    seq: int
    role: str
    content: str
    job_id: str
    created_at: str


class ConversationBody(BaseModel):
    """The newest messages, oldest first; `pending` counts those still unanswered."""

    model_config = shown({"key": "customer-42", "pending": 0, "messages": [_SAID, _SAID | _ANSWERED]})

    key: str
    pending: int
    messages: list[MessageBody]


def router(conversations: Conversations, authenticator: Authenticator) -> APIRouter:
    """`/v1/conversations/{key}`; the key is the session_id, or the callback URL (percent-encoded)."""
    door = APIRouter(prefix="/v1", tags=["conversations"])

    @door.get(
        "/conversations/{key:conversation_key}",
        summary="What a conversation remembers",
        response_model=ConversationBody,
        responses=JOB_ERRORS,
    )
    async def show(request: Request, key: ConversationKey) -> Response:
        """The newest 100 answered messages with their answers."""
        tenant_id = await authenticator.tenant(request)
        return json_response(200, conversation_body(await conversations.show(tenant_id, key)))

    @door.delete(
        "/conversations/{key:conversation_key}",
        status_code=204,
        response_description="Erased",
        summary="Erase a conversation's memory",
        responses=JOB_ERRORS | errors(_503="The database or Redis cannot be reached now; send it again"),
    )
    async def erase(request: Request, key: ConversationKey) -> Response:
        """Erases what was said, also in ended jobs and settled callbacks. Messages still waiting are answered and
        delivered as owed, but not remembered."""
        tenant_id = await authenticator.tenant(request)
        await conversations.erase(tenant_id, key)
        return Response(status_code=204)

    return door


def conversation_body(conversation: Conversation) -> dict[str, object]:
    messages = []
    for turn in conversation.turns:
        common = {"seq": turn.seq, "job_id": turn.job_id, "created_at": rfc3339(turn.at)}
        messages.append({"role": "user", "content": turn.user, **common})
        messages.append({"role": "assistant", "content": turn.assistant, **common})
    return {"key": conversation.key, "pending": conversation.pending, "messages": messages}
