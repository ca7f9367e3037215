"""The kind `message`: the LLM is asked with what the conversation remembers, and its answer goes to a webhook."""

import dataclasses
import time
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from answerback.conversations.messages import chat_messages, open_calls
from answerback.conversations.model import Item, Memory
from answerback.conversations.store import ConversationStore
from answerback.conversations.window import Window, items_of, shorter, window
from answerback.conversations.windows import Windows
from answerback.http.responses import plain
from answerback.jobs.kind import Claimed, Description, Effects, Ending, Event, Job, Queue, Unreadable
from answerback.jobs.outcome import Completed, Failed, Outcome
from answerback.jobs.place import place_of
from answerback.kernel.errors import ErrorCode, Failure, ToolCallUnknown
from answerback.kernel.json import Json, encoded
from answerback.kernel.persistence import persist
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import JOB_SCHEDULE, RetrySchedule
from answerback.llm.errors.failures import CONTEXT_CODE
from answerback.llm.model import Answer, ChatRequest
from answerback.llm.provider import Provider, send_whole
from answerback.llm.reply import WholeReply
from answerback.relay.bodies import Callback
from answerback.relay.model import Message, answer_items

STORED = TypeAdapter(Message)
FIELDS = tuple(field.name for field in dataclasses.fields(Message))
ERASED = ""
"""Stands in the place of a message that was erased; one that is asked is never empty."""
NOT_OPEN = "no call of this conversation with this id waits for an output; it is answered, or a message came after it"


class MessageKind:
    """Implements `Kind[Message]`. Its result is `{"model", "usage", "finish_reason", "text", "tool_calls"?}`. `timeout`
    bounds one call to the LLM, in seconds."""

    name = "message"
    queue = Queue.INTERACTIVE
    retries = JOB_SCHEDULE
    callback_retries: RetrySchedule | None = None

    def __init__(
        self, provider: Provider, store: ConversationStore, windows: Windows, memory: Memory, timeout: float
    ) -> None:
        self._provider = provider
        self._store = store
        self._windows = windows
        self._memory = memory
        self._timeout = timeout

    def encode(self, args: Message) -> str:
        fields = {name: getattr(args, name) for name in FIELDS}
        given = {name: value for name, value in fields.items() if not (value is None or value is False or value == ())}
        return encoded(given).decode()

    def decode(self, raw: str) -> Message:
        try:
            message = STORED.validate_json(raw, strict=True, extra="forbid")
        except ValidationError as error:
            raise Unreadable(str(error)) from error
        if message.message is None and not message.tool_outputs:
            raise Unreadable("neither a message nor tool_outputs")
        return message

    async def check(self, args: Message, tenant_id: str, conversation_key: str | None) -> None:
        """Raises ToolCallUnknown."""
        if not args.tool_outputs:
            return
        entries = await self._store.remembered(tenant_id, conversation_key) if conversation_key is not None else ()
        unknown = _unknown(args, items_of(entries))
        if unknown is not None:
            raise ToolCallUnknown(f"tool_outputs.{unknown}.tool_call_id", NOT_OPEN)

    async def run(self, claim: Claimed[Message]) -> Outcome:
        message = claim.job.args
        remembered = await persist(lambda: self._remembered(claim))
        unknown = _unknown(message, remembered.items)
        if unknown is not None:
            reason = f"tool_outputs.{unknown}.tool_call_id: {NOT_OPEN}"
            return Failed(Failure(ErrorCode.TOOL_CALL_UNKNOWN, reason))
        asked_at = time.perf_counter()
        reply, remembered = await self._ask(claim, remembered)
        answer = reply.answer()
        return Completed(
            _result(answer),
            seconds=time.perf_counter() - asked_at,
            about={
                "model": answer.model,
                "tokens": answer.usage.total_tokens if answer.usage else None,
                "finish": answer.finish_reason,
            },
            window_from=_beginning(remembered, claim) if remembered.moved else None,
            usage=answer.usage,
        )

    async def _ask(self, claim: Claimed[Message], remembered: Window) -> tuple[WholeReply, Window]:
        """The reply, and what of the memory was sent: less than all where the model takes less. Raises
        ProviderError."""
        message = claim.job.args
        # From the scheduling clock, which was read at the claim, a moment ago: this machine's may be minutes off.
        ends_at = time.perf_counter() + max(0.001, min(self._timeout, claim.seconds_left))
        while True:
            said = chat_messages([*remembered.items, *message.items])
            if message.system:
                said.insert(0, {"role": "system", "content": message.system})
            timeout = round(max(0.001, ends_at - time.perf_counter()), 3)
            request = ChatRequest(message.request(said), timeout, claim.tenant_id, queued=True)
            try:
                return await send_whole(self._provider, request), remembered
            except ProviderError as error:
                less = shorter(remembered, message.items) if error.failure.upstream_code == CONTEXT_CODE else None
                if less is None:
                    raise
                remembered = less

    async def _remembered(self, claim: Claimed[Message]) -> Window:
        place = place_of(claim)
        entries = await self._windows.recent(place) if place is not None else ()
        return window(entries, self._memory, claim.at, claim.job.args.items, claim.job.args.system)

    def effects(self, job: Job[Message | None], ending: Ending) -> Effects:
        items: Sequence[Item] = ()
        if ending.result is not None and job.args is not None:
            items = (*job.args.items, *answer_items(ending.result))
        return Effects((Event(f"message.{ending.state}", _callback(job, ending)),), tuple(items))

    def redact(self, args: Message) -> Message:  # noqa: ARG002 (nothing of it is left)
        return Message(ERASED)

    def describe(self, job: Job[Message], ending: Ending | None) -> Description:
        message, result = job.args, (ending.result if ending else None) or {}
        summary: dict[str, Json] = {
            "session_id": message.session_id,
            "model": result.get("model", message.model),
            "usage": result.get("usage"),
            "finish_reason": result.get("finish_reason"),
        }
        if message.message == ERASED:
            summary["erased"] = True
        chosen = {"temperature": message.temperature, "max_tokens": message.max_tokens}
        params = {**(message.params or {}), **{name: value for name, value in chosen.items() if value is not None}}
        details: dict[str, Json] = {
            "message": message.message,
            "system": message.system,
            "params": params or None,
            "response": result.get("text"),
            "metadata": message.metadata,
        }
        if message.tool_outputs:
            details["tool_outputs"] = [dataclasses.asdict(each) for each in message.tool_outputs]
        if "tool_calls" in result:
            details["tool_calls"] = result["tool_calls"]
        return Description(summary, details)


def _unknown(message: Message, remembered: Sequence[Item]) -> int | None:
    """The index of the first output that no call waits for."""
    if not message.tool_outputs:
        return None
    waiting = open_calls(remembered)
    return next((n for n, each in enumerate(message.tool_outputs) if each.tool_call_id not in waiting), None)


def _beginning(remembered: Window, claim: Claimed[Message]) -> int | None:
    return remembered.turns[0].position if remembered.turns else claim.job.position


def _result(answer: Answer) -> dict[str, Json]:
    result: dict[str, Json] = {
        "model": answer.model,
        "usage": to_jsonable_python(answer.usage),
        "finish_reason": answer.finish_reason,
        "text": answer.text,
    }
    if answer.tool_calls:
        result["tool_calls"] = list(answer.tool_calls)
    return result


def _callback(job: Job[Message | None], ending: Ending) -> Mapping[str, Json]:
    message, result = job.args or Message(), ending.result or {}
    callback = Callback(
        job_id=job.id,
        status=ending.state.value,
        response=result.get("text"),
        finish_reason=result.get("finish_reason"),
        session_id=message.session_id,
        seq=job.position,
        model=result.get("model", message.model),
        usage=result.get("usage"),
        metadata=message.metadata,
        created_at=job.created_at,
        completed_at=ending.at,
        tool_calls=result.get("tool_calls"),
        error=ending.failure,
    )
    return plain(callback)
