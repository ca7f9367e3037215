"""`POST /webhook`: what the caller gets, and what reaches the LLM."""

import re

import pytest
from relay import Client

from answerback.testing import replies

JOB_ID = re.compile(r"job_[0-9a-f-]{32,36}")
BOTH_PATHS = pytest.mark.parametrize("path", ["/webhook", "/webhook/"])


@BOTH_PATHS
async def test_a_message_is_answered_with_202_and_exactly_the_promised_body(client: Client, path: str) -> None:
    reply = await client.request("POST", path, json=client.body(session_id="s-1"))

    assert reply.status == 202
    body = reply.json
    assert JOB_ID.fullmatch(body["job_id"])
    assert body == {"job_id": body["job_id"], "status": "queued", "session_id": "s-1", "seq": 1}
    assert reply.headers["Location"] == f"/v1/jobs/{body['job_id']}"
    assert reply.headers["Content-Type"] == "application/json"
    assert "Idempotent-Replayed" not in reply.headers


async def test_the_location_leads_to_the_job(client: Client) -> None:
    reply = await client.post()

    assert (await client.get(reply.headers["Location"]))["job_id"] == reply.json["job_id"]


async def test_without_a_session_id_none_is_invented(client: Client) -> None:
    body = await client.say()

    assert body["session_id"] is None
    assert body["seq"] == 1


async def test_seq_counts_within_its_conversation_only(client: Client) -> None:
    seqs = [(await client.say(session_id=session))["seq"] for session in ("a", "b", "a", "b", "a")]

    assert seqs == [1, 1, 2, 2, 3]


async def test_a_conversation_is_named_by_its_callback_url_where_there_is_no_session_id(client: Client) -> None:
    first, second = client.callback_url, client.callback_url + "?other"

    seqs = [(await client.say(callback_url=url))["seq"] for url in (first, second, first)]

    assert seqs == [1, 1, 2]


async def test_tenants_with_the_same_session_id_and_callback_url_do_not_share(client: Client, other: Client) -> None:
    ours = [await client.say(session_id="same"), await client.say(session_id="same")]
    theirs = await other.say(session_id="same", callback_url=client.callback_url)

    assert [each["seq"] for each in ours] == [1, 2]
    assert theirs["seq"] == 1


async def test_tenants_with_the_same_session_id_do_not_share_memory(client: Client, other: Client) -> None:
    await client.say("our secret", session_id="same")
    await client.callbacks()
    await other.say("what do you know?", session_id="same")

    (call,) = await other.asked()
    assert call.messages == [{"role": "user", "content": other.text("what do you know?")}]


async def test_a_stateless_message_has_no_place_in_any_conversation(client: Client) -> None:
    body = await client.say(stateless=True)

    assert body["seq"] is None
    assert body["session_id"] is None


async def test_stateless_messages_do_not_wait_for_each_other(client: Client) -> None:
    client.relay.llm.on(client.text("stuck"), replies.hang())
    stuck = await client.say("stuck", stateless=True)
    await client.asked()

    await client.say("quick", stateless=True)

    (callback,) = await client.callbacks()
    assert callback.json["response"].startswith('You said: "quick')
    await client.cancel(stuck["job_id"])


async def test_stateless_messages_neither_read_nor_leave_memory(client: Client) -> None:
    await client.say("remembered")
    await client.callbacks(1)

    await client.say("forgotten", stateless=True)
    await client.callbacks(2)
    await client.say("last")
    await client.callbacks(3)

    given = {call.user: [said["content"] for said in call.messages if said["role"] == "user"] for call in client.calls}
    assert given[client.text("forgotten")] == [client.text("forgotten")]
    assert given[client.text("last")] == [client.text("remembered"), client.text("last")]


async def test_stateless_false_is_the_same_as_leaving_it_out(client: Client) -> None:
    assert (await client.say(stateless=False))["seq"] == 1


@pytest.mark.parametrize("given", ["r-1", "A.b:c_d-9", "x" * 128])
async def test_a_sane_request_id_is_echoed(client: Client, given: str) -> None:
    reply = await client.post(headers={"X-Request-Id": given})

    assert reply.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "has space", "x" * 129, '"quoted"', "na\u00efve"], ids=repr)
async def test_any_other_request_id_is_replaced(client: Client, given: str) -> None:
    reply = await client.post(headers={"X-Request-Id": given})

    assert reply.headers["x-request-id"].startswith("req_")


async def test_every_request_gets_an_id_of_its_own(client: Client) -> None:
    ids = {(await client.request("GET", path)).headers["x-request-id"] for path in ("/healthz", "/healthz", "/none")}

    assert len(ids) == 3


async def test_the_longest_message_passes_whatever_its_bytes(client: Client) -> None:
    await client.say(message="🦜" * 32_000)

    (callback,) = await client.callbacks()
    assert callback.json["status"] == "completed"


@pytest.mark.parametrize("empty", [None, ""], ids=repr)
async def test_every_optional_field_may_be_null_or_empty(client: Client, empty: str | None) -> None:
    optional = (
        *("session_id", "stateless", "model", "system", "temperature", "max_tokens"),
        *("params", "metadata", "tool_outputs"),
    )

    assert (await client.say(**dict.fromkeys(optional, empty)))["seq"] == 1


async def test_an_integer_and_its_decimal_text_name_the_same_conversation(client: Client) -> None:
    first, second = [await client.say(session_id=key) for key in (42, "42")]

    assert (first["session_id"], second["session_id"]) == ("42", "42")
    assert (first["seq"], second["seq"]) == (1, 2)


async def test_content_parts_reach_the_llm_as_they_are(client: Client) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}
    parts = [image, {"type": "text", "text": client.text("what is it?")}]

    await client.say(message=parts)
    await client.callbacks(1)
    await client.say("and now?")

    _, second = await client.asked(2)
    assert second.messages[0] == {"role": "user", "content": parts}


async def test_params_reach_the_llm(client: Client) -> None:
    await client.say("hi", params={"seed": 7, "response_format": {"type": "json_object"}, "temperature": 1})

    (call,) = await client.asked()
    assert call.body["seed"] == 7
    assert call.body["response_format"] == {"type": "json_object"}
    assert call.body["temperature"] == 1


async def test_what_the_client_chose_reaches_the_llm(client: Client) -> None:
    await client.say("hi", model="some/model", system="be brief", temperature=0.5, max_tokens=7)

    (call,) = await client.asked()
    assert call.body["model"] == "some/model"
    assert call.body["temperature"] == 0.5
    assert call.body["max_tokens"] == 7
    assert call.messages[0] == {"role": "system", "content": "be brief"}


async def test_what_the_client_left_out_is_left_to_the_llm(client: Client) -> None:
    await client.say("hi")

    (call,) = await client.asked()
    assert call.body.keys() == {"model", "messages"}
    assert call.body["model"] == "openai/gpt-oss-20b:free"


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "text/plain", "application/vnd.api+json"]
)
async def test_the_body_is_read_as_json_whatever_it_calls_itself(client: Client, content_type: str) -> None:
    data = f'{{"message": "hi", "callback_url": "{client.callback_url}"}}'.encode()

    reply = await client.request("POST", "/webhook", data=data, headers={"Content-Type": content_type})

    assert reply.status == 202


async def test_a_message_that_must_wait_is_answered_as_any_other(client: Client) -> None:
    client.relay.llm.on(client.text("stuck"), replies.hang())
    stuck = await client.say("stuck")
    await client.asked()

    behind = await client.say("behind")

    assert behind["status"] == "queued"
    assert (await client.job(behind["job_id"]))["status"] == "held"
    for job in (behind, stuck):
        await client.cancel(job["job_id"])
