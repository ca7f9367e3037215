"""Showing and erasing what a conversation remembers."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Path
from pydantic import BaseModel
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from answerback.conversations.erase import erase
from answerback.conversations.model import Conversation, Entry
from answerback.conversations.store import ConversationStore, EraseJobs
from answerback.conversations.windows import Windows
from answerback.http.caller import TenantOf
from answerback.http.openapi_parts import ENDED_AT, JOB, JOB_ERRORS, errors
from answerback.http.responses import respond, shown
from answerback.kernel.clock import rfc3339
from answerback.kernel.json import Json


class _KeyConvertor(PathConvertor):
    """Whatever follows, line breaks too: `.*` would end before one, and find the conversation of another name."""

    regex = "(?s:.*)"


register_url_convertor("session_key", _KeyConvertor())

SessionKey = Annotated[
    str, Path(description="The session_id, or the callback URL, percent-encoded.", examples=["customer-42"])
]


class SessionMessage(BaseModel):
    """What was asked or answered: a text, or OpenAI's content parts."""

    seq: int
    role: Literal["user", "assistant"]
    content: str | list[dict[str, Json]]
    job_id: str
    created_at: str


class SessionCall(BaseModel):
    """A tool that the answer calls."""

    seq: int
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    job_id: str
    created_at: str


class SessionCustomCall(BaseModel):
    """A custom tool that the answer calls, with free text."""

    seq: int
    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    input: str
    job_id: str
    created_at: str


class SessionCallOutput(BaseModel):
    """What a tool came to."""

    seq: int
    type: Literal["function_call_output"]
    call_id: str
    output: str
    job_id: str
    created_at: str


SessionItem: TypeAlias = SessionMessage | SessionCall | SessionCustomCall | SessionCallOutput


class Session(BaseModel):
    """The newest messages, oldest first; `pending` counts those still unanswered."""

    key: str
    pending: int
    messages: list[SessionItem]

    model_config = shown(
        {
            "key": "customer-42",
            "pending": 0,
            "messages": [
                {"seq": 1, "role": "user", "content": "Where is my parcel?", "job_id": JOB, "created_at": ENDED_AT},
                {
                    "seq": 1,
                    "role": "assistant",
                    "content": "It left the depot this morning.",
                    "job_id": JOB,
                    "created_at": ENDED_AT,
                },
            ],
        }
    )


def router(store: ConversationStore, windows: Windows, erase_jobs: EraseJobs, tenant_of: TenantOf) -> APIRouter:
    """`/v1/sessions/{key}`; the key is the session_id, or the callback URL (percent-encoded)."""
    routes = APIRouter(prefix="/v1", tags=["conversations"])

    @routes.get(
        "/sessions/{key:session_key}",
        summary="What a conversation remembers",
        response_model=Session,
        responses=JOB_ERRORS,
    )
    async def show_session(request: Request, key: SessionKey) -> Response:
        """The newest 100 answered messages with their answers."""
        tenant_id = await tenant_of(request)
        return respond(200, session(await store.show(tenant_id, key)))

    @routes.delete(
        "/sessions/{key:session_key}",
        status_code=204,
        response_description="Erased",
        summary="Erase a conversation's memory",
        responses=JOB_ERRORS | errors(_503="The database or Redis cannot be reached now; send it again"),
    )
    async def erase_session(request: Request, key: SessionKey) -> Response:
        """Erases what was said, also in ended jobs and settled callbacks. Messages still waiting are answered and
        delivered as owed, but not remembered."""
        tenant_id = await tenant_of(request)
        await erase(store, windows, erase_jobs, tenant_id, key)
        return Response(status_code=204)

    return routes


def session(conversation: Conversation) -> Session:
    messages = [each for entry in conversation.entries for each in _shown(entry)]
    return Session(key=conversation.key, pending=conversation.pending, messages=messages)


def _shown(entry: Entry) -> Iterator[SessionItem]:
    common = {"seq": entry.position, "job_id": entry.job_id, "created_at": rfc3339(entry.at)}
    for item in entry.items:
        match item["type"]:
            case "message":
                yield SessionMessage(role=item["role"], content=item["content"], **common)
            case "function_call":
                call = {name: item[name] for name in ("type", "call_id", "name", "arguments")}
                yield SessionCall(**call, **common)
            case "custom_tool_call":
                call = {name: item[name] for name in ("type", "call_id", "name", "input")}
                yield SessionCustomCall(**call, **common)
            case "function_call_output":
                output = {name: item[name] for name in ("type", "call_id", "output")}
                yield SessionCallOutput(**output, **common)
