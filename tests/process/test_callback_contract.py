"""The callback: exactly the promised body and headers, whatever became of the message."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from relay import SECRET, Client, Relay, Surroundings
from standardwebhooks import Webhook

from answerback.testing import replies
from answerback.testing.receiver import Callback

FIELDS = {
    "job_id",
    "status",
    "response",
    "finish_reason",
    "session_id",
    "seq",
    "model",
    "usage",
    "metadata",
    "created_at",
    "completed_at",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def impatient(surroundings: Surroundings) -> AsyncIterator[Relay]:
    """A relay whose jobs expire after a second."""
    async with surroundings.running(keys=10, job_deadline_seconds=1) as relay:
        yield relay


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def failure(callback: Callback, status: str, code: str) -> dict[str, object]:
    """Asserts what every callback without an answer has in common; returns its body."""
    body = callback.json
    assert body.keys() == FIELDS | {"error"}
    assert body["status"] == status
    assert body["response"] is None
    assert body["usage"] is None
    assert body["finish_reason"] is None
    assert body["error"].keys() == {"code", "message"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    return body


async def test_an_answer_comes_with_exactly_the_promised_body(client: Client) -> None:
    client.relay.llm.on(client.text("hi"), replies.say("Hello to you."))
    before = datetime.now(UTC)
    accepted = await client.say("hi", session_id="s", model="some/model", metadata={"order": 7})

    (callback,) = await client.callbacks()
    body = callback.json
    created, completed = moment(body.pop("created_at")), moment(body.pop("completed_at"))
    usage = body.pop("usage")
    assert body == {
        "job_id": accepted["job_id"],
        "status": "completed",
        "response": "Hello to you.",
        "finish_reason": "stop",
        "session_id": "s",
        "seq": 1,
        "model": "some/model",
        "metadata": {"order": 7},
    }
    assert usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert abs((created - before).total_seconds()) < 5
    assert created <= completed


async def test_a_callback_carries_the_promised_headers(client: Client) -> None:
    await client.say()

    (callback,) = await client.callbacks()
    headers = callback.headers
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"].startswith("msg_")
    assert abs(int(headers["webhook-timestamp"]) - callback.at) < 5
    assert headers["webhook-signature"].startswith("v1,")
    assert "Authorization" not in headers


async def test_the_webhook_id_is_the_id_of_the_delivery(client: Client) -> None:
    accepted = await client.say()

    (callback,) = await client.callbacks()
    assert (await client.job(accepted["job_id"]))["delivery"]["id"] == callback.id


async def test_an_independent_library_believes_the_standard_signature(client: Client) -> None:
    accepted = await client.say()

    (callback,) = await client.callbacks()
    verified = Webhook(SECRET).verify(callback.body, dict(callback.headers))
    assert verified["job_id"] == accepted["job_id"]


async def test_x_signature_is_the_hmac_of_the_raw_body(client: Client) -> None:
    await client.say()

    (callback,) = await client.callbacks()
    expected = hmac.new(SECRET.encode(), callback.body, hashlib.sha256).hexdigest()
    assert callback.headers["X-Signature"] == f"sha256={expected}"


async def test_unicode_travels_unescaped_and_unchanged(client: Client) -> None:
    client.relay.llm.on(client.text("größe?"), replies.say("naïve 🦜 ответ"))
    metadata = {"ключ": ["ß", None, True, 1.5, {"深": "い"}], "": "\u2028"}
    await client.say("größe?", session_id="sitzung-ü", metadata=metadata)

    (callback,) = await client.callbacks()
    assert callback.json["response"] == "naïve 🦜 ответ"
    assert callback.json["metadata"] == metadata
    assert callback.json["session_id"] == "sitzung-ü"
    for text in ("naïve 🦜 ответ", "ключ", "深", "sitzung-ü"):
        assert text.encode() in callback.body


@pytest.mark.parametrize("metadata", [{}, None], ids=["empty", "null"])
async def test_metadata_comes_back_as_it_went(client: Client, metadata: object) -> None:
    await client.say(metadata=metadata)

    (callback,) = await client.callbacks()
    assert callback.json["metadata"] == metadata


async def test_a_stateless_answer_says_that_it_belongs_nowhere(client: Client) -> None:
    await client.say(stateless=True)

    (callback,) = await client.callbacks()
    assert (callback.json["seq"], callback.json["session_id"]) == (None, None)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "upstream_auth"), (402, "upstream_credit"), (400, "upstream_refused")]
)
async def test_a_refusal_by_the_upstream_fails_the_message_and_is_called_back(
    client: Client, status: int, code: str
) -> None:
    refusal = {"error": {"message": "your key sk-marker-3af1 is bad", "code": status}}
    client.relay.llm.on(client.text("hi"), replies.status(status, refusal))

    accepted = await client.say("hi", session_id="s", metadata={"kept": True})

    (callback,) = await client.callbacks()
    body = failure(callback, "failed", code)
    assert (body["job_id"], body["session_id"], body["seq"]) == (accepted["job_id"], "s", 1)
    assert body["metadata"] == {"kept": True}
    assert callback.verified
    assert b"sk-marker-3af1" not in callback.body
    assert len(client.calls) == 1


async def test_a_cancelled_message_is_called_back(client: Client) -> None:
    client.relay.llm.on(client.text("hi"), replies.hang())
    accepted = await client.say("hi")
    await client.asked()

    await client.cancel(accepted["job_id"])

    (callback,) = await client.callbacks()
    assert failure(callback, "cancelled", "cancelled")["job_id"] == accepted["job_id"]
    assert callback.verified


async def test_a_message_not_answered_by_its_deadline_expires_and_is_called_back(impatient: Relay) -> None:
    client = impatient.client()
    impatient.llm.on(client.text("slow"), replies.hang())

    accepted = await client.say("slow")

    (callback,) = await client.callbacks()
    body = failure(callback, "expired", "expired")
    assert body["job_id"] == accepted["job_id"]
    lived = moment(str(body["completed_at"])) - moment(str(body["created_at"]))
    assert lived.total_seconds() >= 1


async def test_a_message_expires_while_held_too_and_the_conversation_goes_on(impatient: Relay) -> None:
    client = impatient.client()
    impatient.llm.on(lambda text: text == client.text("slow"), replies.hang())
    stuck = [await client.say("slow"), await client.say("behind")]
    for job in stuck:
        await client.ended(job["job_id"], "expired")

    await client.say("fresh")

    callbacks = await client.callbacks(3)
    assert [callback.json["seq"] for callback in callbacks] == [1, 2, 3]
    assert [callback.json["status"] for callback in callbacks] == ["expired", "expired", "completed"]
