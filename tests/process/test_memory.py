"""Conversations over HTTP: what goes to the LLM, in which order, and how much is remembered."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

import pytest_asyncio
from relay import Client, Relay, Surroundings

from answerback.testing import replies
from eventually import PATIENCE

TTL = 600
MAX_TOKENS = 200


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def forgetful(surroundings: Surroundings) -> AsyncIterator[Relay]:
    """A relay that remembers four items, 200 tokens, ten minutes."""
    memory = {"context_max_messages": 4, "context_max_tokens": MAX_TOKENS, "context_ttl_seconds": TTL}
    async with surroundings.running(keys=10, **memory) as relay:
        yield relay


async def talk(client: Client, *texts: str, **changes: object) -> None:
    """Says these one after the other, each once the one before was called back."""
    before = len([each for each in client.relay.receiver.callbacks if each.path == client.path])
    for n, text in enumerate(texts, start=1):
        await client.say(text, **changes)
        await client.callbacks(before + n)


def given(client: Client, said: str) -> list[str]:
    """What users had said, in the call that ended with this message."""
    (call,) = (call for call in client.calls if call.user == client.text(said))
    return [each["content"].removesuffix(f" ({client.name})") for each in call.messages if each["role"] == "user"]


def after_a_silence(client: Client, seconds: float) -> None:
    """Lets this long pass since the client's last answer, by dating all that is remembered back."""
    with sqlite3.connect(client.relay.service.database, timeout=PATIENCE) as connection:
        connection.execute(
            "UPDATE conversation_items SET created_at = created_at - ? WHERE items LIKE ?",
            (int(seconds * 1000), f"%({client.name})%"),
        )
    connection.close()


async def test_the_llm_is_given_the_system_prompt_then_the_turns_then_the_new_message(client: Client) -> None:
    client.relay.llm.on(client.text("one"), replies.say("answer one"))
    client.relay.llm.on(client.text("two"), replies.say("answer two"))

    await talk(client, "one", "two", "three", system="be kind")

    assert client.calls[-1].messages == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": client.text("one")},
        {"role": "assistant", "content": "answer one"},
        {"role": "user", "content": client.text("two")},
        {"role": "assistant", "content": "answer two"},
        {"role": "user", "content": client.text("three")},
    ]


async def test_a_system_prompt_is_of_its_own_message_only(client: Client) -> None:
    await talk(client, "one", system="be kind")
    await talk(client, "two")

    assert [said["role"] for said in client.calls[-1].messages] == ["user", "assistant", "user"]


async def test_two_sessions_know_nothing_of_each_other(client: Client) -> None:
    await talk(client, "red", session_id="a")
    await talk(client, "blue", session_id="b")
    await talk(client, "more red", session_id="a")

    assert given(client, "blue") == ["blue"]
    assert given(client, "more red") == ["red", "more red"]


async def test_a_failed_message_leaves_nothing_to_remember(client: Client) -> None:
    client.relay.llm.on(client.text("bad"), replies.status(400))

    await talk(client, "good", "bad", "next")

    assert given(client, "next") == ["good", "next"]


async def test_a_message_is_asked_only_once_the_one_before_is_answered(client: Client) -> None:
    answered = asyncio.Event()
    client.relay.llm.on(client.text("one"), replies.hang(until=answered))
    await client.say("one")
    second = await client.say("two")
    await client.asked(1)
    assert (await client.job(second["job_id"]))["status"] == "held"
    assert len(client.calls) == 1

    answered.set()

    await client.callbacks(2)
    assert given(client, "two") == ["one", "two"]


async def test_a_burst_is_asked_and_called_back_in_the_order_of_its_acceptance(client: Client) -> None:
    texts = [f"message {n}" for n in range(12)]
    for text in texts:
        await client.say(text)

    callbacks = await client.callbacks(len(texts))
    assert [call.user for call in client.calls] == [client.text(text) for text in texts]
    assert [callback.json["seq"] for callback in callbacks] == list(range(1, len(texts) + 1))


async def test_a_stuck_conversation_holds_up_no_other(client: Client) -> None:
    client.relay.llm.on(client.text("stuck"), replies.hang())
    stuck = await client.say("stuck", session_id="a")
    behind = await client.say("behind", session_id="a")
    await client.asked()

    await client.say("quick", session_id="b")

    (callback,) = await client.callbacks()
    assert callback.json["session_id"] == "b"
    for job in (behind, stuck):
        await client.cancel(job["job_id"])


async def test_only_the_newest_messages_that_fit_the_number_are_remembered(forgetful: Relay) -> None:
    client = forgetful.client()

    await talk(client, "one", "two", "three", "four")

    assert given(client, "four") == ["two", "three", "four"]


async def test_only_the_newest_messages_that_fit_the_tokens_are_remembered(forgetful: Relay) -> None:
    client = forgetful.client()
    forgetful.llm.on(lambda text: text.endswith(f"({client.name})"), replies.say("x" * MAX_TOKENS * 2))

    await talk(client, "one", "two", "three")

    # Each answer takes half of the tokens: with the texts around them, one turn fits and two do not.
    assert given(client, "three") == ["two", "three"]


async def test_a_turn_that_does_not_fit_whole_is_left_out_whole(forgetful: Relay) -> None:
    client = forgetful.client()
    forgetful.llm.on(client.text("one"), replies.say("x" * MAX_TOKENS * 5))

    await talk(client, "one", "two")

    assert client.calls[-1].messages == [{"role": "user", "content": client.text("two")}]


async def test_a_silence_shorter_than_the_ttl_is_no_end(forgetful: Relay) -> None:
    client = forgetful.client()
    await talk(client, "one")

    after_a_silence(client, TTL / 2)
    await talk(client, "two")

    assert given(client, "two") == ["one", "two"]


async def test_a_silence_longer_than_the_ttl_ends_the_memory(forgetful: Relay) -> None:
    client = forgetful.client()
    await talk(client, "one")

    after_a_silence(client, TTL + 1)
    await talk(client, "two", "three")

    assert given(client, "two") == ["two"]
    assert given(client, "three") == ["two", "three"]


async def test_between_two_moves_of_its_beginning_a_conversation_is_sent_as_it_was_and_more(
    surroundings: Surroundings,
) -> None:
    async with surroundings.running(keys=1, context_max_messages=16) as relay:
        client = relay.client()
        await talk(client, *(f"message {n}" for n in range(1, 13)))

        begins = [call.messages[0] for call in client.calls]
        moved = [n for n in range(1, len(begins)) if begins[n] != begins[n - 1]]
        for n in set(range(1, len(begins))) - set(moved):
            before = client.calls[n - 1].messages
            assert client.calls[n].messages[: len(before)] == before

    # Nine turns are two items too many: a quarter goes, and the next turns fit again.
    assert moved == [9, 11]
