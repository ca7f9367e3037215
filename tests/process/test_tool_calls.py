"""Answers that call tools, and the messages that bring what the tools came to."""

from typing import Any

import pytest
from relay import Client, fields, problem

from answerback.testing import replies

WEATHER = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
TIME = {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}
SUNNY = {"tool_call_id": "call_1", "output": "sunny"}


def answers(client: Client, said: str, *script: replies.Reply) -> None:
    client.relay.llm.on(client.text(said), *script)


def calling(*calls: dict[str, Any], text: str | None = None) -> replies.Reply:
    return replies.message(text, "tool_calls", tool_calls=list(calls))


async def outputs(client: Client, *given: dict[str, str], **changes: Any) -> Any:
    """Posts outputs in place of a message; returns the reply."""
    body = {"tool_outputs": list(given), "callback_url": client.callback_url, **changes}
    return await client.request("POST", "/webhook", json=body)


async def test_an_answer_that_calls_tools_is_called_back_with_its_calls(client: Client) -> None:
    answers(client, "nice out?", calling(WEATHER, TIME, text="Let me see."))

    accepted = await client.say("nice out?", params={"tools": [{"type": "function", "function": {"name": "weather"}}]})

    (callback,) = await client.callbacks()
    assert callback.json["finish_reason"] == "tool_calls"
    assert callback.json["response"] == "Let me see."
    assert callback.json["tool_calls"] == [WEATHER, TIME]
    assert (await client.job(accepted["job_id"]))["tool_calls"] == [WEATHER, TIME]


async def test_an_answer_of_calls_alone_has_no_text(client: Client) -> None:
    answers(client, "nice out?", calling(WEATHER))

    await client.say("nice out?")

    (callback,) = await client.callbacks()
    assert (callback.json["status"], callback.json["response"]) == ("completed", None)
    assert callback.json["tool_calls"] == [WEATHER]


async def test_outputs_go_to_the_llm_with_the_calls_and_its_answer_is_called_back(client: Client) -> None:
    answers(client, "nice out?", calling(WEATHER), replies.say("It is sunny."))
    await client.say("nice out?")
    await client.callbacks(1)

    reply = await outputs(client, SUNNY)

    assert (reply.status, reply.json["seq"]) == (202, 2)
    _, callback = await client.callbacks(2)
    assert (callback.json["response"], callback.json["finish_reason"]) == ("It is sunny.", "stop")
    assert client.calls[-1].messages == [
        {"role": "user", "content": client.text("nice out?")},
        {"role": "assistant", "content": None, "tool_calls": [WEATHER]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    shown = (await client.get(client.conversation_path(client.callback_url)))["messages"]
    assert [each.get("type", each.get("role")) for each in shown] == [
        "user",
        "function_call",
        "function_call_output",
        "assistant",
    ]


async def test_a_call_that_the_user_passed_over_is_left_out_and_its_outputs_are_refused(client: Client) -> None:
    answers(client, "nice out?", calling(WEATHER))
    await client.say("nice out?")
    await client.callbacks(1)
    await client.say("never mind")
    await client.callbacks(2)

    detail = problem(await outputs(client, SUNNY), 422, "tool_call_unknown")

    assert fields(detail) == {"body.tool_outputs.0.tool_call_id"}
    assert client.calls[-1].messages == [
        {"role": "user", "content": client.text("nice out?")},
        {"role": "user", "content": client.text("never mind")},
    ]


async def test_outputs_that_a_message_overtook_fail_when_they_run(client: Client) -> None:
    answers(client, "nice out?", calling(WEATHER))
    await client.say("nice out?")
    await client.callbacks(1)
    answers(client, "never mind", replies.delayed(0.5))
    await client.say("never mind")

    accepted = await outputs(client, SUNNY)

    assert accepted.status == 202
    *_, callback = await client.callbacks(3)
    assert (callback.json["status"], callback.json["error"]["code"]) == ("failed", "tool_call_unknown")


async def test_outputs_sent_again_with_their_key_get_the_first_answer(client: Client) -> None:
    answers(client, "nice out?", calling(WEATHER), replies.say("It is sunny."))
    await client.say("nice out?")
    await client.callbacks(1)
    body = {"tool_outputs": [SUNNY], "callback_url": client.callback_url}
    key = {"Idempotency-Key": "outputs-1"}
    first = await client.request("POST", "/webhook", json=body, headers=key)
    await client.callbacks(2)

    again = await client.request("POST", "/webhook", json=body, headers=key)

    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json


@pytest.mark.parametrize("changes", [{}, {"stateless": True}, {"session_id": "another"}], ids=str)
async def test_outputs_without_a_call_are_refused(client: Client, changes: dict[str, Any]) -> None:
    answers(client, "nice out?", calling(WEATHER))
    await client.say("nice out?", session_id="s")
    await client.callbacks(1)

    problem(await outputs(client, SUNNY, **changes), 422, "tool_call_unknown")


async def test_an_answer_that_was_cut_says_so(client: Client) -> None:
    answers(client, "say it all", replies.message("It all began", "length"))

    await client.say("say it all", max_tokens=3)

    (callback,) = await client.callbacks()
    assert (callback.json["response"], callback.json["finish_reason"]) == ("It all began", "length")
