"""`GET` and `DELETE /v1/sessions/{key}`."""

import asyncio

import pytest
from relay import Client, problem

from answerback.testing import replies

AWKWARD = ["plain", "a/b", "a//b/", "what?", "100%", "a%2Fb", "a b+c&d=e#f", "größe 🦜", "line\nbreak", "end\n", "..."]


async def test_a_conversation_shows_its_messages_oldest_first(client: Client) -> None:
    client.relay.llm.on(client.text("one"), replies.say("answer one"))
    client.relay.llm.on(client.text("two"), replies.say("answer two"))
    first = await client.say("one", session_id="s")
    second = await client.say("two", session_id="s")
    await client.callbacks(2)

    shown = await client.get("/v1/sessions/s")

    assert shown.keys() == {"key", "pending", "remembered_from", "messages"}
    assert (shown["key"], shown["pending"]) == ("s", 0)
    assert [(m["seq"], m["role"], m["content"], m["job_id"]) for m in shown["messages"]] == [
        (1, "user", client.text("one"), first["job_id"]),
        (1, "assistant", "answer one", first["job_id"]),
        (2, "user", client.text("two"), second["job_id"]),
        (2, "assistant", "answer two", second["job_id"]),
    ]
    assert all(message["created_at"].endswith("Z") for message in shown["messages"])


async def test_pending_counts_what_waits_for_an_answer(client: Client) -> None:
    client.relay.llm.on(client.text("stuck"), replies.hang())
    jobs = [await client.say(text, session_id="s") for text in ("stuck", "behind")]

    shown = await client.get("/v1/sessions/s")

    assert (shown["pending"], shown["messages"]) == (2, [])
    for job in reversed(jobs):
        await client.cancel(job["job_id"])


@pytest.mark.parametrize("session_id", AWKWARD, ids=repr)
async def test_any_session_id_can_be_shown_and_erased(client: Client, session_id: str) -> None:
    await client.say(session_id=session_id)
    await client.callbacks()
    path = client.conversation_path(session_id)

    shown = await client.get(path)
    erased = await client.request("DELETE", path)

    assert shown["key"] == session_id
    assert len(shown["messages"]) == 2
    assert (erased.status, erased.raw) == (204, b"")
    assert (await client.get(path))["messages"] == []


@pytest.mark.parametrize("session_id", [".", ".."])
async def test_a_session_id_that_no_path_can_hold_stands_in_the_query(client: Client, session_id: str) -> None:
    await client.say(session_id=session_id)
    await client.callbacks()
    path = f"/v1/sessions/?session_id={session_id}"

    shown = await client.get(path)
    erased = await client.request("DELETE", path)

    assert (shown["key"], len(shown["messages"])) == (session_id, 2)
    assert erased.status == 204
    assert (await client.get(path))["messages"] == []
    problem(await client.request("GET", "/v1/sessions/"), 404, "not_found")


@pytest.mark.parametrize("suffix", ["", "/", "/a%20b?x=1&y=%2F", "?q=http://other/path"])
async def test_a_conversation_named_by_its_callback_url_is_found_under_it(client: Client, suffix: str) -> None:
    url = client.callback_url + suffix
    accepted = await client.say(callback_url=url)
    await client.ended(accepted["job_id"], "completed")

    shown = await client.get(client.conversation_path(url))

    assert shown["key"] == url
    assert shown["messages"][0]["job_id"] == accepted["job_id"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("key", ["nobody", "", "a/b", "%00", "%ff"])
async def test_an_unknown_conversation_is_not_found(client: Client, method: str, key: str) -> None:
    problem(await client.request(method, f"/v1/sessions/{key}"), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_anothers_conversation_is_not_found(client: Client, other: Client, method: str) -> None:
    await client.say(session_id="s")
    await client.callbacks()

    problem(await other.request(method, "/v1/sessions/s"), 404, "not_found")

    assert len((await client.get("/v1/sessions/s"))["messages"]) == 2


async def test_what_was_erased_is_gone_everywhere(client: Client) -> None:
    accepted = await client.say("private", session_id="s", metadata={"private": "too"})
    job = await client.settled(accepted["job_id"])

    await client.request("DELETE", "/v1/sessions/s")

    erased = await client.job(accepted["job_id"])
    assert erased["status"] == "completed"
    assert (erased["response"], erased["metadata"]) == (None, None)
    assert (erased["session_id"], erased["erased"], erased["delivery"]["erased"]) == (None, True, True)
    assert not {"erased"} & {*job, *job["delivery"]}
    problem(await client.resend(job["delivery"]["id"]), 409, "conflict")


async def test_what_was_erased_is_not_remembered_in_the_next_message(client: Client) -> None:
    await client.say("private")
    await client.callbacks()
    await client.request("DELETE", client.conversation_path(client.callback_url))

    await client.say("next")

    await client.callbacks(2)
    assert [said["content"] for said in client.calls[-1].messages] == [client.text("next")]


async def test_an_erased_conversation_goes_on_counting(client: Client) -> None:
    await client.say(session_id="s")
    await client.callbacks()
    await client.request("DELETE", "/v1/sessions/s")

    assert (await client.say(session_id="s"))["seq"] == 2


async def test_a_message_under_way_is_answered_though_its_conversation_is_erased_but_not_remembered(
    client: Client,
) -> None:
    answered = asyncio.Event()
    client.relay.llm.on(client.text("slow"), replies.hang(until=answered))
    await client.say("slow", session_id="s")
    await client.asked()

    await client.request("DELETE", "/v1/sessions/s")
    answered.set()

    (callback,) = await client.callbacks()
    assert callback.json["status"] == "completed"
    assert (await client.get("/v1/sessions/s"))["messages"] == []


async def test_erasing_twice_is_no_error(client: Client) -> None:
    await client.say(session_id="s")
    await client.callbacks()

    statuses = [(await client.request("DELETE", "/v1/sessions/s")).status for _ in range(2)]

    assert statuses == [204, 204]


async def test_a_message_with_an_erased_text_cannot_be_retried(client: Client) -> None:
    client.relay.llm.on(client.text("bad"), replies.status(400))
    accepted = await client.say("bad", session_id="s")
    await client.settled(accepted["job_id"])
    await client.request("DELETE", "/v1/sessions/s")

    problem(await client.retry(accepted["job_id"]), 409, "conflict")


async def test_the_former_path_is_gone(client: Client) -> None:
    await client.say(session_id="s")

    assert (await client.request("GET", "/v1/conversations/s")).status == 404
