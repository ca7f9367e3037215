"""Showing and erasing what a conversation remembers."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from answerback.conversations.erase import erase
from answerback.conversations.model import Conversation, ConversationPosition, Item, Memory
from answerback.conversations.store import ConversationStore, EraseJobs
from answerback.conversations.window import Window, window
from answerback.conversations.windows import Windows
from answerback.http.caller import AskedTenant, AskedTenantOf, AskedTenantOrAll
from answerback.http.fields import DIGITS, EMPTY_IS_ABSENT, PageSize, no_nul
from answerback.http.known_queries import KNOWN_QUERIES
from answerback.http.openapi_parts import JOB, KEY_ERRORS, QUERY_ERRORS, TENANT_ERRORS, errors, not_found
from answerback.http.responses import Time, is_none, respond
from answerback.kernel.ids import EVERY_TENANT
from answerback.kernel.json import Json


class _KeyConvertor(PathConvertor):
    """Matches line breaks, too: `.*` would end before one, and find another conversation."""

    regex = "(?s:.*)"


register_url_convertor("session_key", _KeyConvertor())

SessionKey = Annotated[
    str, Path(description="The session_id, or the callback URL, percent-encoded.", examples=["customer-42"])
]


Before = Annotated[
    Annotated[int, Field(ge=1, lt=2**62), DIGITS] | None,
    Query(description="Only messages with a smaller `seq`: the `next` of a page."),
]

NamedByQuery = Annotated[
    Annotated[str, Field(max_length=128), AfterValidator(no_nul)] | None,
    Query(
        description="In place of the key in the path, for `.` and `..`, which a URL's path cannot hold: "
        "`/v1/sessions/?session_id=..`.",
    ),
]


class _Entry(BaseModel):
    seq: int = Field(examples=[1])
    job_id: str = Field(examples=[JOB])
    created_at: Time


class _Call(_Entry):
    call_id: str = Field(examples=["call_1"])
    name: str = Field(examples=["find_parcel"])


class SessionMessage(_Entry):
    """What was asked or answered: a text, or OpenAI's content parts."""

    role: Literal["user", "assistant"]
    content: str | list[dict[str, Json]] = Field(examples=["Where is my parcel?"])


class SessionCall(_Call):
    """A tool that the answer calls."""

    type: Literal["function_call"]
    arguments: str = Field(examples=['{"number": 1742}'])


class SessionCustomCall(_Call):
    """A custom tool that the answer calls, with free text."""

    type: Literal["custom_tool_call"]
    input: str = Field(examples=["number 1742"])


class SessionCallOutput(_Entry):
    """The output of a tool."""

    type: Literal["function_call_output"]
    call_id: str = Field(examples=["call_1"])
    output: str = Field(examples=["It left the depot this morning."])


SessionItem: TypeAlias = SessionMessage | SessionCall | SessionCustomCall | SessionCallOutput
SHOWN: Mapping[str, type[SessionItem]] = {
    "message": SessionMessage,
    "function_call": SessionCall,
    "custom_tool_call": SessionCustomCall,
    "function_call_output": SessionCallOutput,
}
"""The items that are shown, by their `type`."""


class Session(BaseModel):
    """The newest messages, oldest first; `pending` counts those still unanswered."""

    key: str = Field(examples=["customer-42"])
    pending: int = Field(examples=[0])
    remembered_from: int | None = Field(
        description="The `seq` from which on the next message will remember what was said; null: nothing.", examples=[1]
    )
    messages: list[SessionItem]
    next: int | None = Field(
        None,
        description="Goes into `before` for older messages; there only if there are some.",
        examples=[17],
        exclude_if=is_none,
    )


class SessionSummary(BaseModel):
    """A conversation, by its session_id or else its callback URL."""

    key: str = Field(examples=["customer-42"])
    messages: int = Field(description="How many were sent to it since it was last erased.", examples=[7])
    waiting: int = Field(description="How many wait for an answer.", examples=[0])
    updated_at: Time = Field(description="When one was last answered; before that, when it began.")
    tenant_id: str | None = Field(
        None,
        description="For operators who ask for all tenants: whose it is.",
        examples=["tnt_01a1fc8454427e0488ed70bfd1c5a7e4"],
        exclude_if=is_none,
    )


class SessionPage(BaseModel):
    """Conversations, the last used first; `next` goes into `before` for the page after, null on the last. A page of all
    tenants may be short, or empty, and not the last."""

    items: list[SessionSummary]
    next: str | None = Field(examples=["1767268800000-17"])


DEFAULT_PAGE_SIZE = 20


def _position(value: str) -> str:
    if not POSITION.fullmatch(value):
        raise ValueError("must be the `next` of a page")
    return value


POSITION = re.compile(r"(\d{1,18})-(\d{1,18})")
BeforeSession = Annotated[
    Annotated[str, AfterValidator(_position)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only those used before: the `next` of a page."),
]

UNKNOWN = not_found("there is no conversation 'customer-42'")


def router(
    store: ConversationStore,
    windows: Windows,
    erase_jobs: EraseJobs,
    tenant_of: AskedTenantOf,
    memory: Memory,
    now: Callable[[], int],
) -> APIRouter:
    """`/v1/sessions` and `/v1/sessions/{key}`; the key is the session_id, or the callback URL (percent-encoded).
    `memory` is how much messages remember; `now` is in epoch milliseconds."""
    routes = APIRouter(prefix="/v1", tags=["conversations"])
    _add_list(routes, store, tenant_of)
    _add_session(routes, store, windows, erase_jobs, tenant_of, memory, now)
    return routes


def _add_session(
    routes: APIRouter,
    store: ConversationStore,
    windows: Windows,
    erase_jobs: EraseJobs,
    tenant_of: AskedTenantOf,
    memory: Memory,
    now: Callable[[], int],
) -> None:
    @routes.get(
        "/sessions/{key:session_key}",
        summary="What a conversation remembers",
        response_model=Session,
        responses=QUERY_ERRORS | TENANT_ERRORS | UNKNOWN,
    )
    async def get_session(
        request: Request,
        key: SessionKey,
        session_id: NamedByQuery = None,
        before: Before = None,
        tenant: AskedTenant = None,
    ) -> Response:
        """The newest 100 answered messages with their answers; fewer where they are large."""
        tenant_id = await tenant_of(request, tenant)
        named = key or session_id or ""
        shown = await store.show(tenant_id, named, before)
        remembered = window(await store.remembered(tenant_id, named), memory, now(), NEXT, None)
        return respond(200, session(shown, remembered))

    @routes.delete(
        "/sessions/{key:session_key}",
        status_code=204,
        response_description="Erased",
        summary="Erase a conversation's memory",
        responses=KEY_ERRORS
        | TENANT_ERRORS
        | UNKNOWN
        | errors(_503="The database or Redis cannot be reached now; send it again"),
    )
    async def delete_session(
        request: Request, key: SessionKey, session_id: NamedByQuery = None, tenant: AskedTenant = None
    ) -> Response:
        """Erases what was said, also in ended jobs and settled callbacks. Messages still waiting are answered and
        delivered as owed, but not remembered."""
        tenant_id = await tenant_of(request, tenant)
        await erase(store, windows, erase_jobs, tenant_id, key or session_id or "")
        return Response(status_code=204)


def _add_list(routes: APIRouter, store: ConversationStore, tenant_of: AskedTenantOf) -> None:
    @routes.get(
        "/sessions",
        summary="Conversations, the last used first",
        response_model=SessionPage,
        responses=QUERY_ERRORS | TENANT_ERRORS,
        dependencies=KNOWN_QUERIES,
    )
    async def list_sessions(
        request: Request,
        limit: PageSize = DEFAULT_PAGE_SIZE,
        before: BeforeSession = None,
        tenant: AskedTenantOrAll = None,
    ) -> Response:
        """Those of messages to `/webhook`; OpenAI's are at `/v1/conversations`."""
        tenant_id = await tenant_of(request, tenant)
        position = None if before is None else ConversationPosition(*map(int, before.split("-")))
        page = await store.recent(tenant_id, position, limit or DEFAULT_PAGE_SIZE)
        following = None if page.following is None else f"{page.following.updated_at}-{page.following.id}"
        items = [SessionSummary.model_validate(each, from_attributes=True) for each in page.conversations]
        if tenant_id != EVERY_TENANT:
            items = [each.model_copy(update={"tenant_id": None}) for each in items]
        return respond(200, SessionPage(items=items, next=following))


NEXT: Sequence[Item] = ({"type": "message", "role": "user", "content": ""},)
"""Stands for the next message, which may be of any length."""


def session(conversation: Conversation, remembered: Window) -> Session:
    messages = [
        SHOWN[item["type"]](**{**item, "seq": entry.position, "job_id": entry.job_id, "created_at": entry.at})
        for entry in conversation.entries
        for item in entry.items
        if item["type"] in SHOWN
    ]
    return Session(
        key=conversation.key,
        pending=conversation.pending,
        remembered_from=remembered.turns[0].position if remembered.turns else None,
        messages=messages,
        next=conversation.older,
    )
