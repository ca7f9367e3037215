"""The kind `message`: what is asked, what is remembered of it, and how its callback reads."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from answerback.conversations.model import Entry, Memory, Place
from answerback.jobs.kind import Claimed, Ending, Job, JobState, Unreadable
from answerback.jobs.outcome import Completed, Failed
from answerback.kernel.errors import ErrorCode, Failure, StorageUnavailable, ToolCallUnknown
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.model import Answer
from answerback.relay.kind import MessageKind
from answerback.relay.model import Message, ToolOutput
from builders import StubProvider

NOW = 1_750_000_000_000
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Bern"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
CALLED = [{"type": "message", "role": "user", "content": "nice out?"}, FUNCTION_CALL]
RESULT = {"text": "Yes.", "model": "m-1", "usage": None, "finish_reason": "stop"}


def answering() -> StubProvider:
    return StubProvider(Answer("Yes.", "m-1", Usage(1, 2, 3), "stop"))


class Conversation:
    """Its windows and its store at once; `trouble` is raised by the next read."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = list(entries)
        self.trouble: list[Exception] = []

    async def recent(self, place: Place) -> Sequence[Entry]:
        if self.trouble:
            raise self.trouble.pop()
        return [entry for entry in self.entries if place.first <= entry.position < place.position]

    async def remembered(self, tenant_id: str, key: str) -> Sequence[Entry]:
        return self.entries if (tenant_id, key) == ("tenant", "s") else ()


def entry(position: int, *items: dict[str, Any]) -> Entry:
    return Entry(position, f"job_{position}", items, NOW)


def kind_of(
    conversation: Conversation | None = None, provider: StubProvider | None = None, memory: Memory | None = None
) -> MessageKind:
    conversation = conversation or Conversation()
    memory = memory or Memory(20, 8_000, 86_400)
    return MessageKind(provider or answering(), conversation, conversation, memory, timeout=60)  # type: ignore[arg-type]


def job(args: Message | None, position: int | None = 1, **changes: Any) -> Job[Any]:
    conversation = None if position is None else 7
    fields = {"id": "job_x", "tenant_id": "tenant", "kind": "message", "callback_url": None, "created_at": NOW}
    return Job(**fields | {"args": args, "conversation_id": conversation, "position": position} | changes)


def claim(args: Message, position: int | None = 1, **changes: Any) -> Claimed[Message]:
    times = {"claimed_at": NOW, "at": NOW, "due_at": NOW, "deadline_at": NOW + 5_000}
    return Claimed(job(args, position), epoch=1, attempt=1, **times | changes)


@pytest.mark.parametrize(
    "stored",
    [
        *("", "[]", "null", "{}", '{"session_id": "s"}', '{"message": null, "tool_outputs": []}'),
        *('{"message": 5}', '{"voice": "alto"}', '{"message": "hi", "tool_outputs": [{"id": "c"}]}'),
    ],
)
def test_arguments_of_another_version_are_left_to_it(stored: str) -> None:
    with pytest.raises(Unreadable):
        kind_of().decode(stored)


async def test_the_llm_is_given_the_system_prompt_what_is_remembered_and_the_message() -> None:
    provider = answering()
    before = entry(1, {"type": "message", "role": "user", "content": "a"}, {**RESULT_ITEM, "content": "A"})
    kind = kind_of(Conversation(before), provider)

    await kind.run(claim(Message("b", system="be kind", model="m-2", temperature=0.0, max_tokens=7), position=2))

    (request,) = provider.requests
    assert request.body == {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "b"},
        ],
        "model": "m-2",
        "temperature": 0.0,
        "max_tokens": 7,
    }
    assert request.queued


RESULT_ITEM = {"type": "message", "role": "assistant", "content": "Yes."}


async def test_params_reach_the_llm_and_named_fields_win_over_them() -> None:
    provider = answering()

    await kind_of(provider=provider).run(claim(Message("b", params={"seed": 7, "temperature": 1}, temperature=0.5)))

    assert provider.requests[0].body == {
        "messages": [{"role": "user", "content": "b"}],
        "seed": 7,
        "temperature": 0.5,
    }


async def test_a_call_ends_with_the_jobs_deadline_where_that_comes_first() -> None:
    provider = answering()

    await kind_of(provider=provider).run(claim(Message("b")))
    await kind_of(provider=provider).run(claim(Message("b"), deadline_at=NOW + 600_000))

    assert [request.timeout for request in provider.requests] == [pytest.approx(5, abs=0.5), pytest.approx(60, abs=0.5)]


async def test_a_stateless_message_reads_no_memory() -> None:
    conversation = Conversation()
    conversation.trouble = [AssertionError("it was read")]

    assert isinstance(await kind_of(conversation).run(claim(Message("b", stateless=True), position=None)), Completed)


async def test_an_answer_completes_the_job_with_what_its_callback_needs() -> None:
    outcome = await kind_of().run(claim(Message("b")))

    assert isinstance(outcome, Completed)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert outcome.result == RESULT | {"usage": usage}
    assert outcome.about == {"model": "m-1", "tokens": 3, "finish": "stop"}
    assert outcome.window_from is None
    json.dumps(outcome.result)


async def test_a_beginning_that_moves_is_handed_over_with_the_answer() -> None:
    said = ({"type": "message", "role": "user", "content": "a"}, RESULT_ITEM)
    conversation = Conversation(*(entry(n, *said) for n in (3, 4, 5)))

    moved = await kind_of(conversation, memory=Memory(4, 8_000, 86_400)).run(claim(Message("b"), position=6))
    emptied = await kind_of(conversation, memory=Memory(0, 8_000, 86_400)).run(claim(Message("b"), position=6))

    assert isinstance(moved, Completed)
    assert isinstance(emptied, Completed)
    assert (moved.window_from, emptied.window_from) == (4, 6)


TOO_LONG = ProviderError(
    ErrorCode.UPSTREAM_REFUSED, "too long", retryable=False, upstream_code="context_length_exceeded"
)


async def test_a_model_that_takes_less_than_the_memory_holds_is_given_less_from_then_on() -> None:
    said = ({"type": "message", "role": "user", "content": "a"}, RESULT_ITEM)
    conversation = Conversation(*(entry(n, *said) for n in (1, 2, 3, 4, 5)))
    provider = StubProvider(TOO_LONG, TOO_LONG, Answer("Yes.", "m-1", Usage(1, 2, 3), "stop"))

    outcome = await kind_of(conversation, provider).run(claim(Message("b"), position=6))

    assert [len(request.body["messages"]) for request in provider.requests] == [11, 5, 3]
    assert isinstance(outcome, Completed)
    assert outcome.window_from == 5


async def test_a_message_that_is_too_long_by_itself_is_refused_as_the_model_refuses_it() -> None:
    said = ({"type": "message", "role": "user", "content": "a"}, RESULT_ITEM)
    provider = StubProvider(TOO_LONG, TOO_LONG)

    with pytest.raises(ProviderError) as refused:
        await kind_of(Conversation(entry(1, *said)), provider).run(claim(Message("b"), position=2))

    assert refused.value is TOO_LONG
    assert [len(request.body["messages"]) for request in provider.requests] == [3, 1]


async def test_outputs_keep_the_turn_that_called_however_little_the_model_takes() -> None:
    said = ({"type": "message", "role": "user", "content": "a"}, RESULT_ITEM)
    provider = StubProvider(TOO_LONG, TOO_LONG)
    kind = kind_of(Conversation(entry(1, *said), entry(2, *CALLED)), provider)

    with pytest.raises(ProviderError):
        await kind.run(claim(Message(tool_outputs=(ToolOutput("call_1", "sunny"),)), position=3))

    assert [len(request.body["messages"]) for request in provider.requests] == [5, 3]


async def test_outputs_go_to_the_llm_after_the_calls_they_answer() -> None:
    provider = answering()
    kind = kind_of(Conversation(entry(1, *CALLED)), provider)

    await kind.run(claim(Message(tool_outputs=(ToolOutput("call_1", "sunny"),)), position=2))

    assert provider.requests[0].body["messages"] == [
        {"role": "user", "content": "nice out?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry(1, *CALLED), entry(2, OUTPUT, RESULT_ITEM)],
        [entry(1, *CALLED), entry(2, {"type": "message", "role": "user", "content": "never mind"}, RESULT_ITEM)],
    ],
    ids=["never made", "answered", "left behind"],
)
async def test_outputs_for_a_call_that_waits_for_none_are_refused_and_when_the_job_runs_fail_it(
    entries: list[Entry],
) -> None:
    provider = answering()
    kind = kind_of(Conversation(*entries), provider)
    args = Message(tool_outputs=(ToolOutput("call_1", "sunny"),))

    with pytest.raises(ToolCallUnknown) as refusal:
        await kind.check(args, "tenant", "s")
    outcome = await kind.run(claim(args, position=3))

    assert refusal.value.field == "tool_outputs.0.tool_call_id"
    assert isinstance(outcome, Failed)
    assert outcome.failure.code is ErrorCode.TOOL_CALL_UNKNOWN
    assert provider.requests == []


async def test_outputs_for_an_open_call_of_this_conversation_only_pass() -> None:
    kind = kind_of(Conversation(entry(1, *CALLED)))
    args = Message(tool_outputs=(ToolOutput("call_1", "sunny"),))

    await kind.check(args, "tenant", "s")
    for tenant, key in (("tenant", "t"), ("another", "s"), ("tenant", None)):
        with pytest.raises(ToolCallUnknown):
            await kind.check(args, tenant, key)


async def test_a_database_that_is_away_for_a_moment_costs_a_moment() -> None:
    conversation = Conversation()
    conversation.trouble = [StorageUnavailable("for a moment")]

    assert isinstance(await kind_of(conversation).run(claim(Message("b"), position=2)), Completed)


def test_an_answer_leaves_the_message_and_itself_to_be_remembered() -> None:
    effects = kind_of().effects(job(Message([{"type": "text", "text": "b"}])), completed())

    assert list(effects.items) == [
        {"type": "message", "role": "user", "content": [{"type": "text", "text": "b"}]},
        RESULT_ITEM,
    ]


def test_an_answer_that_calls_tools_leaves_its_calls_and_names_them() -> None:
    result = RESULT | {"text": None, "finish_reason": "tool_calls", "tool_calls": [CALL]}
    args = Message(tool_outputs=(ToolOutput("call_0", "no"),))

    effects = kind_of().effects(job(args), completed(result))

    assert list(effects.items) == [{"type": "function_call_output", "call_id": "call_0", "output": "no"}, FUNCTION_CALL]
    (event,) = effects.events
    assert (event.data["response"], event.data["finish_reason"]) == (None, "tool_calls")
    assert event.data["tool_calls"] == [CALL]


def test_a_callback_reads_as_promised() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    args = Message("b", session_id="s", metadata={"order": [7, None]})

    (event,) = kind_of().effects(job(args, position=4), completed(RESULT | {"usage": usage})).events

    assert event.type == "message.completed"
    assert list(event.data.items()) == [
        ("job_id", "job_x"),
        ("status", "completed"),
        ("response", "Yes."),
        ("finish_reason", "stop"),
        ("session_id", "s"),
        ("seq", 4),
        ("model", "m-1"),
        ("usage", usage),
        ("metadata", {"order": [7, None]}),
        ("created_at", "2025-06-15T15:06:40.000Z"),
        ("completed_at", "2025-06-15T15:06:41.500Z"),
    ]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
@pytest.mark.parametrize("args", [Message("b", session_id="s", model="m-2"), None], ids=["read", "unreadable"])
def test_a_job_without_an_answer_says_why_and_leaves_nothing(state: JobState, args: Message | None) -> None:
    effects = kind_of().effects(job(args), Ending(state, NOW, failure=Failure(ErrorCode.EXPIRED, "too late")))

    (event,) = effects.events
    assert event.type == f"message.{state}"
    assert event.data["error"] == {"code": "expired", "message": "too late"}
    assert (event.data["status"], event.data["response"], event.data["usage"]) == (state, None, None)
    assert (event.data["session_id"], event.data["model"]) == (("s", "m-2") if args else (None, None))
    assert effects.items == ()
    json.dumps(event.data)


def test_a_callback_says_why_an_upstream_refused_the_message() -> None:
    refused = Failure(ErrorCode.UPSTREAM_REFUSED, "too long", "messages", "context_length_exceeded")

    (event,) = kind_of().effects(job(Message("b")), Ending(JobState.FAILED, NOW, failure=refused)).events

    assert event.data["error"] == {
        "code": "upstream_refused",
        "message": "too long",
        "param": "messages",
        "upstream_code": "context_length_exceeded",
    }


def test_nothing_of_a_message_is_left_once_it_is_redacted() -> None:
    kind = kind_of()

    redacted = kind.redact(Message("b", session_id="s", system="x", params={"seed": 1}, metadata={"k": []}))

    assert kind.encode(redacted) == '{"message":""}'


@pytest.mark.parametrize(
    ("ending", "shown"),
    [
        (lambda: None, {"model": "m-2", "usage": None, "finish_reason": None, "response": None}),
        (lambda: completed(), {"model": "m-1", "usage": None, "finish_reason": "stop", "response": "Yes."}),
        (lambda: completed(None), {"model": "m-2", "usage": None, "finish_reason": None, "response": None}),
    ],
    ids=["open", "completed", "left out"],
)
def test_a_job_is_described_by_what_was_asked_and_answered(
    ending: Callable[[], Ending | None], shown: dict[str, Any]
) -> None:
    args = Message("b", session_id="s", model="m-2", system="S", temperature=0.5, params={"seed": 1}, metadata={"k": 1})

    description = kind_of().describe(job(args), ending())

    whole = {**description.summary, **description.details}
    asked = {"message": "b", "system": "S", "params": {"seed": 1, "temperature": 0.5}}
    assert whole == shown | asked | {"session_id": "s", "metadata": {"k": 1}}
    assert description.details.keys() == {*asked, "response", "metadata"}


def completed(result: Any = RESULT) -> Ending:
    return Ending(JobState.COMPLETED, NOW + 1_500, result)
