"""`Idempotency-Key`: a request that is sent again is answered again, and done once."""

import asyncio
from pathlib import Path

import pytest
from relay import Client, Relay, Reply, Surroundings, problem

from answerback.testing import replies
from answerback.testing.service import Service

KEY = {"Idempotency-Key": "order-7"}


def same_answer(first: Reply, again: Reply) -> None:
    assert (again.status, again.raw) == (first.status, first.raw)
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "changes", [{}, {"session_id": "s", "metadata": {"a": [1, "ü"]}}, {"stateless": True}], ids=str
)
async def test_the_same_request_again_hears_the_same_answer_and_makes_no_job(
    client: Client, changes: dict[str, object]
) -> None:
    first = await client.post(headers=KEY, **changes)
    again = await client.post(headers=KEY, **changes)

    same_answer(first, again)
    assert len(await client.jobs()) == 1


async def test_the_same_request_after_its_job_ended_hears_the_same_answer(client: Client) -> None:
    first = await client.post(headers=KEY)
    await client.settled(first.json["job_id"])

    same_answer(first, await client.post(headers=KEY))

    assert len(client.calls) == 1


async def test_the_same_body_written_otherwise_is_the_same_request(client: Client) -> None:
    first = await client.post(headers=KEY)
    text, url = client.text("hello"), client.callback_url
    data = f'\n{{ "callback_url" : "{url}", "metadata": null, "message": "{text}" }}'.encode()

    same_answer(first, await client.request("POST", "/webhook/", data=data, headers=KEY))


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "other"},
        {"session_id": "s"},
        {"stateless": True},
        {"model": "m"},
        {"system": "s"},
        {"temperature": 1},
        {"max_tokens": 1},
        {"metadata": {}},
        {"callback_url": "http://127.0.0.1:9/other"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_the_same_key_with_another_body_is_a_conflict(client: Client, changes: dict[str, object]) -> None:
    await client.post(headers=KEY)

    problem(await client.post(headers=KEY, **changes), 409, "idempotency_conflict")

    assert len(await client.jobs()) == 1


async def test_another_key_makes_another_job(client: Client) -> None:
    first = await client.post(headers=KEY)
    second = await client.post(headers={"Idempotency-Key": "order-8"})

    assert first.json["job_id"] != second.json["job_id"]


async def test_a_refused_request_leaves_its_key_free(client: Client) -> None:
    await client.post(headers=KEY, message="")

    assert (await client.post(headers=KEY)).status == 202


async def test_keys_are_each_tenants_own(client: Client, other: Client) -> None:
    ours = await client.post(headers=KEY, message="the same", callback_url=client.callback_url)
    theirs = await other.post(headers=KEY, message="the same", callback_url=client.callback_url)

    assert theirs.status == 202
    assert "Idempotent-Replayed" not in theirs.headers
    assert theirs.json["job_id"] != ours.json["job_id"]


async def test_500_at_once_make_one_job(client: Client) -> None:
    answers = await asyncio.gather(*(client.post(headers=KEY) for _ in range(500)))

    assert {answer.status for answer in answers} == {202}
    assert len({answer.raw for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    (job,) = await client.jobs()
    await client.settled(job["job_id"])
    assert len(client.calls) == 1


async def test_a_repetition_is_answered_though_the_conversation_and_the_backlog_are_full(
    surroundings: Surroundings,
) -> None:
    async with surroundings.running(conversation_max_pending=1, max_queued_jobs=2) as relay:
        client = relay.client()
        relay.llm.on(client.text("hello"), replies.hang())
        first = await client.post(headers=KEY)
        problem(await client.post("hello"), 429, "conversation_full")
        await client.say("hello", stateless=True)
        problem(await client.post("hello", stateless=True), 503, "overloaded")

        same_answer(first, await client.post(headers=KEY))


async def test_a_repetition_is_answered_though_its_address_may_no_longer_be_called(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    url = "http://10.255.255.1/callback"
    mock = {"MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "60"}
    async with Service({**mock, "CALLBACK_ALLOWED_NETWORKS": "10.0.0.0/8"}, folder=tmp_path) as yesterday:
        client = Relay(yesterday, surroundings).client()
        first = await client.post(headers=KEY, callback_url=url)
    async with Service(mock, folder=tmp_path) as today:
        client.relay = Relay(today, surroundings)
        problem(await client.post(callback_url=url), 422, "callback_refused")

        same_answer(first, await client.post(headers=KEY, callback_url=url))
