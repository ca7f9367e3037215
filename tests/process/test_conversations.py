"""Conversations by the official `openai` package, which refuses whatever its types do not allow."""

import asyncio
import io
import json
import random
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from serving import client_of
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {"AUTH_TOKEN": "the-key", "OPERATOR_TOKEN": "the-operator", "RATE_LIMIT": "0"}
UNKNOWN = "conv_" + "0" * 32
CALL: Any = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
WEATHER = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return TOKENS | {"LLM_TIMEOUT_SECONDS": "20", "MAX_RETRIES": "0"}


def said(text: str, role: str = "user") -> Any:
    return {"type": "message", "role": role, "content": text}


async def texts(sdk: openai.AsyncOpenAI, conversation_id: str, **query: Any) -> list[str]:
    """Of all its messages, over as many pages as there are."""
    items: Any = sdk.conversations.items.list(conversation_id, **query)
    return [item.content[0].text async for item in items]


async def test_it_is_created_changed_and_deleted(sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.conversations.create(items=[said("hi")], metadata={"topic": "parcels"})
    assert (made.object, made.metadata) == ("conversation", {"topic": "parcels"})
    assert await sdk.conversations.retrieve(made.id) == made

    changed = await sdk.conversations.update(made.id, metadata={"a": "b"})
    assert (changed.id, changed.metadata) == (made.id, {"a": "b"})
    deleted = await sdk.conversations.delete(made.id)

    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "conversation.deleted", True)
    for call in (sdk.conversations.retrieve, sdk.conversations.delete, sdk.conversations.items.list):
        with pytest.raises(openai.NotFoundError):
            await call(made.id)
    with pytest.raises(openai.NotFoundError) as gone:
        await sdk.responses.create(model="fake", input="x", conversation=made.id)
    assert gone.value.param == "conversation"


async def test_an_empty_request_makes_an_empty_one(sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/conversations") as response:
        made = await response.json()

    assert made["metadata"] == {}
    assert await texts(sdk, made["id"]) == []


async def test_items_are_added_listed_and_deleted(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create()
    calls: Any = [
        CALL,
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "sealed"},
    ]
    added = await sdk.conversations.items.create(conversation.id, items=[said("one"), said("two", "assistant")])
    await sdk.conversations.items.create(conversation.id, items=calls)

    listed = await sdk.conversations.items.list(conversation.id, order="asc")
    assert [item.type for item in listed.data] == [
        *("message", "message", "function_call", "function_call_output", "reasoning")
    ]
    assert [item.id for item in listed.data[:2]] == [added.first_id, added.last_id]
    thought = listed.data[4]
    assert "encrypted_content" not in thought.model_fields_set
    sealed = await sdk.conversations.items.retrieve(
        str(thought.id), conversation_id=conversation.id, include=["reasoning.encrypted_content"]
    )
    assert sealed.encrypted_content == "sealed"  # type: ignore[union-attr]
    left = await sdk.conversations.items.delete(added.first_id, conversation_id=conversation.id)

    assert left.id == conversation.id
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.items.retrieve(added.first_id, conversation_id=conversation.id)
    assert (await sdk.conversations.items.list(conversation.id, order="asc")).data == listed.data[1:]


@pytest.mark.parametrize("made", [True, False])
async def test_an_output_without_its_call_is_not_added(sdk: openai.AsyncOpenAI, made: bool) -> None:
    items: Any = [said("one"), {"type": "function_call_output", "call_id": "call_nowhere", "output": "sunny"}]
    conversation = await sdk.conversations.create()

    with pytest.raises(openai.BadRequestError, match="call_nowhere") as refused:
        await (
            sdk.conversations.create(items=items)
            if made
            else sdk.conversations.items.create(conversation.id, items=items)
        )

    assert (refused.value.param, refused.value.code) == ("items[1].call_id", "invalid_value")
    assert await texts(sdk, conversation.id) == []


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}])
async def test_an_output_without_its_call_is_no_turn(sdk: openai.AsyncOpenAI, mode: Mapping[str, Any]) -> None:
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    conversation = await sdk.conversations.create(items=[CALL])

    with pytest.raises(openai.BadRequestError, match="call_2") as refused:
        await sdk.responses.create(
            model="fake", input=[output, {**output, "call_id": "call_2"}], conversation=conversation.id, **mode
        )

    assert refused.value.param == "input"
    answered = await sdk.responses.create(model="fake", input=[output, said("so?")], conversation=conversation.id)
    assert answered.status == "completed"


@pytest.mark.parametrize("mode", [{}, {"stream": True}, {"background": True}])
@pytest.mark.parametrize(
    ("before", "given", "why"),
    [
        ([], [{"type": "web_search_call", "id": "ws_1"}], "could read"),
        ([], [], "could read"),
        ([CALL], "and?", "call_1"),
        ([], [CALL], "call_1"),
    ],
)
async def test_what_a_turn_could_never_be_asked_is_refused_at_once(
    sdk: openai.AsyncOpenAI, mode: Mapping[str, Any], before: Any, given: Any, why: str
) -> None:
    conversation = await sdk.conversations.create(items=before)

    with pytest.raises(openai.BadRequestError, match=why) as refused:
        await sdk.responses.create(model="fake", input=given, conversation=conversation.id, **mode)

    assert refused.value.param == "input"


async def test_a_turn_may_need_what_the_one_before_it_adds(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go = asyncio.Event()
    llm.on("comes first", replies.hang(go, replies.say("Now.")))
    turn: Any = {"model": "fake", "conversation": (await sdk.conversations.create()).id, "background": True}
    await sdk.responses.create(**turn, input="comes first")

    behind = await sdk.responses.create(**turn, input=[])
    go.set()

    while (found := await sdk.responses.retrieve(behind.id)).status in ("queued", "in_progress"):
        pass
    assert found.status == "completed"


async def test_a_turn_may_choose_a_tool_that_the_one_before_it_adds(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go = asyncio.Event()
    llm.on("brings a tool", replies.hang(go, replies.say("Now.")))
    turn: Any = {"model": "fake", "conversation": (await sdk.conversations.create()).id, "background": True}
    tool: Any = {"type": "function", "name": "weather"}
    tools: Any = {"type": "additional_tools", "role": "developer", "tools": [tool]}
    await sdk.responses.create(**turn, input=[tools, said("brings a tool")])

    behind = [
        await sdk.responses.create(**turn, input="and?", tool_choice={**tool, "name": name})
        for name in ("weather", "other")
    ]
    go.set()

    ended = []
    for each in behind:
        while (found := await sdk.responses.retrieve(each.id)).status in ("queued", "in_progress"):
            pass
        ended.append(found)
    assert [each.status for each in ended] == ["completed", "failed"]
    assert ended[1].error is not None
    assert ended[1].error.message == "invalid 'tool_choice': 'tools' has no function tool 'other'"


async def test_a_conversation_that_lost_a_call_says_which_output_to_delete(sdk: openai.AsyncOpenAI) -> None:
    calls: Any = [
        CALL,
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]
    conversation = await sdk.conversations.create(items=calls)
    output, call = [str(item.id) for item in (await sdk.conversations.items.list(conversation.id)).data]
    await sdk.conversations.items.delete(call, conversation_id=conversation.id)

    with pytest.raises(openai.BadRequestError, match=f"delete the item '{output}'"):
        await sdk.responses.create(model="fake", input="and?", conversation=conversation.id)
    await sdk.conversations.items.delete(output, conversation_id=conversation.id)

    answered = await sdk.responses.create(model="fake", input="and?", conversation=conversation.id)
    assert answered.output_text == 'You said: "and?". I was given 1 message.'


async def test_the_sdk_walks_over_all_pages(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said(f"{n}") for n in range(20)])
    for begin in (20, 23):
        more = [said(f"{n}") for n in range(begin, begin + 3)]
        await sdk.conversations.items.create(conversation.id, items=more)

    for limit in (1, 2, 7, 100):
        assert await texts(sdk, conversation.id, limit=limit) == [str(n) for n in reversed(range(26))]
        assert await texts(sdk, conversation.id, limit=limit, order="asc") == [str(n) for n in range(26)]


async def test_items_are_deleted_while_the_sdk_walks_over_them(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said(f"{n}") for n in range(20)])
    await sdk.conversations.items.create(conversation.id, items=[said("20")])

    async for item in sdk.conversations.items.list(conversation.id):
        await sdk.conversations.items.delete(str(item.id), conversation_id=conversation.id)

    assert await texts(sdk, conversation.id) == []


async def test_a_response_goes_on_from_it_and_is_added(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said("before")])

    first = await sdk.responses.create(model="fake", input="one", conversation=conversation.id)
    second = await sdk.responses.create(
        model="fake", input="two", conversation={"id": conversation.id}, instructions="Be kind.", store=False
    )

    assert first.conversation is not None
    assert first.conversation.id == conversation.id
    assert first.output_text == 'You said: "one". I was given 2 messages.'
    assert second.output_text == 'You said: "two". I was given 5 messages.'
    assert await texts(sdk, conversation.id, order="asc") == [
        *("before", "one", first.output_text, "two", second.output_text)
    ]
    assert (await sdk.responses.retrieve(first.id)).output == first.output
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(second.id)
    read = [item.id async for item in sdk.responses.input_items.list(first.id, order="asc")]
    in_it = [item.id async for item in sdk.conversations.items.list(conversation.id, order="asc")]
    assert read == in_it[:2]
    assert in_it[2] == first.output[0].id


async def test_an_item_that_was_added_is_referred_to_by_its_id(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    conversation = await sdk.conversations.create(items=[said("first"), said("second")])
    other = await sdk.conversations.create(items=[said("third")])
    items = [*(await sdk.conversations.items.list(conversation.id, order="asc")).data]
    items += (await sdk.conversations.items.list(other.id)).data
    references: Any = [{"type": "item_reference", "id": item.id} for item in items]

    await sdk.responses.create(model="fake", input=[*references, said("and?")])

    assert [each["content"] for each in llm.calls[-1].messages] == ["first", "second", "third", "and?"]
    with pytest.raises(openai.NotFoundError, match="once"):
        await sdk.responses.create(model="fake", input=[references[0], references[0]])
    await sdk.conversations.items.delete(str(items[0].id), conversation_id=conversation.id)
    await sdk.conversations.delete(other.id)
    for gone in (references[0], references[2]):
        with pytest.raises(openai.NotFoundError, match=gone["id"]):
            await sdk.responses.create(model="fake", input=[gone])


async def test_items_may_be_as_large_as_those_of_responses(http: aiohttp.ClientSession) -> None:
    def large(size: int) -> io.BytesIO:
        return io.BytesIO(json.dumps({"items": [said("x" * size)]}).encode())

    async with http.post("/v1/conversations", data=large(3_000_000)) as made:
        conversation = (await made.json())["id"]
    async with http.post(f"/v1/conversations/{conversation}/items", data=large(3_000_000)) as added:
        assert added.status == 200
    async with http.post("/v1/conversations", data=large(33 * 1024 * 1024)) as refused:
        assert refused.status == 413
    many = {"items": [{"role": "user", "content": "x", "ignored": [0] * 100_001}]}
    async with http.post(f"/v1/conversations/{conversation}/items", json=many) as refused:
        assert refused.status == 400


async def test_one_that_is_too_long_says_so_in_every_mode(http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI) -> None:
    conversation = (await sdk.conversations.create()).id
    for _ in range(2):
        items = io.BytesIO(json.dumps({"items": [said("x" * 17 * 1024 * 1024)]}).encode())
        async with http.post(f"/v1/conversations/{conversation}/items", data=items) as added:
            assert added.status == 200

    modes: Any = ({}, {"stream": True}, {"background": True})
    for mode in modes:
        with pytest.raises(openai.BadRequestError, match="begin a new one") as refused:
            await sdk.responses.create(model="fake", input="and?", conversation=conversation, **mode)
        assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "conversation")


async def test_one_that_is_part_of_a_conversation_starts_no_chain(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create()
    made = await sdk.responses.create(model="fake", input="x", conversation=conversation.id)

    with pytest.raises(openai.BadRequestError, match=conversation.id) as refused:
        await sdk.responses.create(model="fake", input="y", previous_response_id=made.id)

    assert refused.value.param == "previous_response_id"


async def test_11_five_requests_at_once_are_five_whole_turns(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    conversation = await sdk.conversations.create()

    made = await asyncio.gather(
        *(sdk.responses.create(model="fake", input=f"turn {n}", conversation=conversation.id) for n in range(5))
    )

    kept = await texts(sdk, conversation.id, order="asc")
    assert sorted(kept[::2]) == [f"turn {n}" for n in range(5)]
    by_answer = {kept[2 * n]: kept[2 * n + 1] for n in range(5)}
    assert by_answer == {f"turn {n}": each.output_text for n, each in enumerate(made)}
    # Each has read all before it.
    for n in range(5):
        read = 1 + 2 * n
        assert kept[2 * n + 1].endswith(f"I was given {read} message{'s' if read > 1 else ''}.")


async def test_a_cut_answer_is_added_and_a_failed_one_is_not(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("cut me", replies.message("Half", "length"))
    llm.on("refuse", replies.status(400, {"error": {"message": "not like this", "param": "messages"}}))
    llm.on("break", replies.status(500))
    conversation = await sdk.conversations.create()

    cut = await sdk.responses.create(model="fake", input="cut me", conversation=conversation.id)
    assert cut.status == "incomplete"
    with pytest.raises(openai.BadRequestError, match="not like this"):
        await sdk.responses.create(model="fake", input="refuse", conversation=conversation.id)
    with pytest.raises(openai.InternalServerError) as broken:
        await sdk.responses.create(model="fake", input="break", conversation=conversation.id)

    assert broken.value.status_code == 502
    assert await texts(sdk, conversation.id, order="asc") == ["cut me", "Half"]


async def test_retries_of_two_clients_are_two_turns(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    conversation = await sdk.conversations.create()
    llm.on("the same", replies.delayed(0.3, replies.say("done")))
    retrying: Any = {"X-Stainless-Retry-Count": "1"}

    made = await asyncio.gather(
        *(
            sdk.responses.create(model="fake", input="the same", conversation=conversation.id, extra_headers=retrying)
            for _ in range(2)
        )
    )

    kept = await texts(sdk, conversation.id)
    assert len({each.id for each in made}) == 2
    assert [text for text in kept if text == "the same"] == ["the same"] * 2


async def test_a_call_and_its_output_are_two_turns(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("weather?", replies.message(None, "tool_calls", tool_calls=[WEATHER]), replies.say("Sunny."))
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    conversation = await sdk.conversations.create()
    asked = await sdk.responses.create(model="fake", input="weather?", conversation=conversation.id, tools=[tool])
    (call,) = (item for item in asked.output if item.type == "function_call")

    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.responses.create(model="fake", input="well?", conversation=conversation.id, tools=[tool])
    assert refused.value.param == "input"
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answered = await sdk.responses.create(model="fake", input=[output], conversation=conversation.id, tools=[tool])

    assert answered.status == "completed"
    kinds = [item.type async for item in sdk.conversations.items.list(conversation.id, order="asc")]
    assert kinds == ["message", "function_call", "function_call_output", "message"]


async def test_a_background_response_is_added_too(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create()
    queued = await sdk.responses.create(model="fake", input="later", conversation=conversation.id, background=True)

    behind = await sdk.responses.create(model="fake", input="behind", conversation=conversation.id)

    done = await sdk.responses.retrieve(queued.id)
    assert done.status == "completed"
    assert await texts(sdk, conversation.id, order="asc") == [
        *("later", done.output_text, "behind", behind.output_text)
    ]


async def test_a_background_turn_streams(sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said("before")])

    events: Any = await sdk.responses.create(
        model="fake", input="stream it", conversation=conversation.id, background=True, stream=True
    )
    kinds = [event.type async for event in events]

    assert kinds[-1] == "response.completed"
    assert await texts(sdk, conversation.id, order="asc") == [
        *("before", "stream it", 'You said: "stream it". I was given 2 messages.')
    ]


async def test_what_is_added_meanwhile_stands_behind(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go, calls = asyncio.Event(), llm.total
    llm.on("slow", replies.hang(go, replies.say("Now.")))
    conversation = await sdk.conversations.create()
    slow = asyncio.ensure_future(sdk.responses.create(model="fake", input="slow", conversation=conversation.id))
    await llm.wait_for_calls(calls + 1)

    await sdk.conversations.items.create(conversation.id, items=[said("note")])
    go.set()
    await slow

    assert await texts(sdk, conversation.id, order="asc") == ["slow", "Now.", "note"]


async def test_one_that_is_deleted_meanwhile_keeps_nothing(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go, calls = asyncio.Event(), llm.total
    llm.on("while deleted", replies.hang(go, replies.say("Now.")))
    conversation = await sdk.conversations.create()
    first = asyncio.ensure_future(
        sdk.responses.create(model="fake", input="while deleted", conversation=conversation.id)
    )
    await llm.wait_for_calls(calls + 1)
    queued = await sdk.responses.create(model="fake", input="held", conversation=conversation.id, background=True)

    await sdk.conversations.delete(conversation.id)
    go.set()

    assert (await first).output_text == "Now."
    while (held := await sdk.responses.retrieve(queued.id)).status in ("queued", "in_progress"):
        pass
    assert held.status == "failed"
    assert held.error is not None
    assert "was deleted" in held.error.message


async def test_a_client_that_hangs_up_stops_its_turn_alone(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, llm: FakeLLM
) -> None:
    llm.on("hang up", replies.hang())
    gone, calls = llm.disconnects, llm.total
    conversation = await sdk.conversations.create()
    body = {"model": "fake", "input": "hang up", "conversation": conversation.id}
    calling = asyncio.ensure_future(http.post("/v1/responses", json=body))
    await llm.wait_for_calls(calls + 1)

    calling.cancel()
    await llm.wait_for_disconnects(gone + 1)
    await sdk.responses.create(model="fake", input="next", conversation=conversation.id)

    assert (await texts(sdk, conversation.id, order="asc"))[0] == "next"


async def test_a_key_makes_one_turn_and_a_failure_frees_it(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("once in it", replies.status(500), replies.say("Once."))
    conversation = await sdk.conversations.create()
    asked: Any = {
        "model": "fake",
        "input": "once in it",
        "conversation": conversation.id,
        "extra_headers": {"Idempotency-Key": "turn"},
    }
    with pytest.raises(openai.InternalServerError):
        await sdk.responses.create(**asked)

    first, second, third = await asyncio.gather(*(sdk.responses.create(**asked) for _ in range(3)))

    assert first == second == third
    assert await texts(sdk, conversation.id, order="asc") == ["once in it", "Once."]


async def test_a_key_makes_one_conversation(sdk: openai.AsyncOpenAI) -> None:
    key = {"Idempotency-Key": "made"}
    first, second = [await sdk.conversations.create(items=[said("a")], extra_headers=key) for _ in range(2)]
    for _ in range(2):
        await sdk.conversations.items.create(first.id, items=[said("b")], extra_headers=key)

    assert first == second
    assert await texts(sdk, first.id, order="asc") == ["a", "b"]


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"conversation": "conv_1"}, 400, "conversation"),
        ({"conversation": 7}, 400, "conversation"),
        ({"conversation": {"id": "x"}}, 400, "conversation.id"),
        ({"conversation": {}}, 400, "conversation.id"),
        ({"conversation": []}, 400, "conversation"),
        ({"conversation": UNKNOWN}, 404, "conversation"),
        ({"conversation": UNKNOWN, "previous_response_id": "resp_1"}, 400, "previous_response_id"),
        ({"conversation": UNKNOWN, "stream": True}, 404, "conversation"),
    ],
)
async def test_a_wrong_conversation_is_named(
    http: aiohttp.ClientSession, asked: Mapping[str, Any], status: int, param: str | None
) -> None:
    async with http.post("/v1/responses", json={"model": "fake", "input": "x", **asked}) as response:
        assert response.status == status
        assert (await response.json())["error"]["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": "x"}, "items"),
        ({"items": {}}, "items"),
        ({"items": [said("x")] * 21}, "items"),
        ({"items": [said("x"), 7]}, "items[1]"),
        ({"items": [said("x"), {"type": "odd"}]}, "items[1]"),
        ({"items": [{"type": "message", "role": "king", "content": "x"}]}, "items[0].role"),
        ({"items": [said("x"), {"type": "item_reference", "id": "msg_1"}]}, "items[1]"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ({"metadata": "x"}, "metadata"),
    ],
)
async def test_a_wrong_item_is_named(http: aiohttp.ClientSession, body: Any, param: str) -> None:
    async with http.post("/v1/conversations", json=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == param


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [("", {}, "metadata"), ("/items", {}, "items"), ("/items", {"items": [{"type": "web_search_call"}]}, "items")],
)
async def test_what_is_missing_is_named(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, path: str, body: Any, param: str
) -> None:
    conversation = await sdk.conversations.create()
    async with http.post(f"/v1/conversations/{conversation.id}{path}", json=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == param


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up", "after=msg_1"])
async def test_a_wrong_query_is_named(http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, query: str) -> None:
    conversation = await sdk.conversations.create()
    async with http.get(f"/v1/conversations/{conversation.id}/items?{query}") as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == query.partition("=")[0]


async def test_a_session_of_the_relay_is_none(http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said("hi")])
    for key in (conversation.id, conversation.id.ljust(129, ".")):
        for call in (http.get, http.delete):
            async with call(f"/v1/sessions/{key}") as response:
                assert response.status == 404
    assert await texts(sdk, conversation.id) == ["hi"]


async def test_no_id_of_another_tenant_is_of_use(service: Service, sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said("mine")])
    (item,) = (await sdk.conversations.items.list(conversation.id)).data
    item_id = str(item.id)
    async with (
        aiohttp.ClientSession(service.url, headers={"Authorization": "Bearer the-operator"}) as http,
        http.post("/v1/keys", json={"name": "stranger"}) as made,
    ):
        key = (await made.json())["key"]
    async with client_of(service, key) as stranger:
        of_it: Any = stranger.conversations
        for call in (
            of_it.retrieve(conversation.id),
            of_it.update(conversation.id, metadata={"a": "b"}),
            of_it.delete(conversation.id),
            of_it.items.list(conversation.id),
            of_it.items.create(conversation.id, items=[said("x")]),
            of_it.items.retrieve(item_id, conversation_id=conversation.id),
            of_it.items.delete(item_id, conversation_id=conversation.id),
            stranger.responses.create(model="fake", input="x", conversation=conversation.id),
            stranger.responses.create(model="fake", input=[{"type": "item_reference", "id": item_id}]),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        # Nor is an item found through a conversation of one's own.
        own = await stranger.conversations.create()
        with pytest.raises(openai.NotFoundError):
            await of_it.items.retrieve(item_id, conversation_id=own.id)
    assert await sdk.conversations.retrieve(conversation.id) == conversation
    assert await texts(sdk, conversation.id) == ["mine"]


async def test_it_survives_a_kill_in_the_middle_of_a_turn(llm: FakeLLM) -> None:
    llm.on("survive here", replies.hang(), replies.say("I am back."))
    calls = llm.total
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "2"}) as service:
        asked: Any = {"model": "fake", "input": "survive here", "extra_headers": {"Idempotency-Key": "turn"}}
        async with client_of(service) as sdk:
            asked["conversation"] = (await sdk.conversations.create(items=[said("before")])).id
            lost = asyncio.ensure_future(sdk.responses.create(**asked))
            await llm.wait_for_calls(calls + 1)
            await service.kill()
            with pytest.raises(openai.APIConnectionError):
                await lost
            await service.start()
        async with client_of(service) as sdk:
            again = await sdk.responses.create(**asked)
            assert again.output_text == "I am back."
            assert await texts(sdk, asked["conversation"], order="asc") == [*("before", "survive here", "I am back.")]


ODD: Any = [None, True, 0, -1, 1.5, 10**30, "", "x", "\0", "é🌍", [], {}, [[]], [None], {"type": None}, {"id": "msg_1"}]


async def test_no_mutated_request_breaks_the_service(http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[said("hi")])
    dice, counts = random.Random(14), {"good": 0, "bad": 0}
    for _ in range(150):
        item = said("x")
        item[dice.choice([*item, "id", "status"])] = dice.choice(ODD)
        body: Any = {"items": [said("y"), item], "metadata": {"a": "b"}}
        if dice.random() < 0.4:
            body[dice.choice(["items", "metadata", "conversation"])] = dice.choice(ODD)
        conversation_id = dice.choice([conversation.id, conversation.id, "x", UNKNOWN, "%00", "é"])
        path = dice.choice(["", f"/{conversation_id}", f"/{conversation_id}/items"])
        async with http.post(f"/v1/conversations{path}", json=body) as response:
            text = await response.text()
            assert response.status in (200, 400, 404), (response.status, text, path, body)
            counts["good" if response.status == 200 else "bad"] += 1
        odd = dice.choice(ODD)
        query = {"after": str(odd)[:40], "limit": str(dice.choice([odd, 5])), "include[]": str(odd)}
        async with http.get(f"/v1/conversations/{conversation_id}/items", params=query) as response:
            assert response.status in (200, 400, 404), (response.status, await response.text(), query)
    assert min(counts.values()) > 20, counts
