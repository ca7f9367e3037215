"""Retrying jobs and resending deliveries."""

import asyncio

import pytest
from relay import SECRET, Client, problem

from answerback.testing import behaviours, replies
from answerback.testing.receiver import Receiver
from answerback.webhooks.limits.breaker import FAILURES_TO_OPEN, SHORTEST_PAUSE


async def failed(client: Client, said: str = "bad", **changes: object) -> str:
    """The id of a job that failed, its callback delivered; asked again, it is answered."""
    client.relay.llm.on(client.text(said), replies.status(400), replies.say("well then"))
    job_id: str = (await client.say(said, **changes))["job_id"]
    await client.settled(job_id)
    return job_id


async def test_a_retry_is_a_new_job_at_the_end_of_its_conversation_linked_to_the_old(client: Client) -> None:
    old = await failed(client, session_id="s", metadata={"m": 1})
    await client.say("between", session_id="s")

    reply = await client.retry(old)

    assert reply.status == 202
    new = reply.json["job_id"]
    assert reply.json == {"job_id": new, "status": "queued", "session_id": "s", "seq": 3, "retry_of": old}
    assert reply.headers["Location"] == f"/v1/jobs/{new}"
    job = await client.settled(new)
    assert (job["retry_of"], job["response"], job["metadata"]) == (old, "well then", {"m": 1})
    assert (await client.job(old))["retried_as"] == new


async def test_the_retried_job_keeps_its_ending_and_its_callback(client: Client) -> None:
    old = await failed(client)
    before = await client.job(old)

    await client.settled((await client.retry(old)).json["job_id"])

    after = await client.job(old)
    assert after == before | {"retried_as": after["retried_as"]}
    assert [callback.json["status"] for callback in await client.callbacks(2)] == ["failed", "completed"]


async def test_retrying_twice_gives_the_same_job(client: Client) -> None:
    old = await failed(client)

    first, second = [await client.retry(old) for _ in range(2)]

    assert (first.status, first.raw) == (second.status, second.raw)
    assert len(await client.jobs()) == 2


async def test_a_retry_repeated_under_its_key_gets_the_first_response_again(client: Client) -> None:
    old = await failed(client)
    path, key = f"/v1/jobs/{old}/retry", {"Idempotency-Key": "once"}

    first, second = [await client.request("POST", path, headers=key) for _ in range(2)]

    assert (first.status, first.raw) == (second.status, second.raw)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]


async def test_a_retry_of_a_stateless_message_takes_no_place_either(client: Client) -> None:
    old = await failed(client, stateless=True)

    assert (await client.retry(old)).json["seq"] is None


async def test_a_cancelled_message_can_be_retried(client: Client) -> None:
    client.relay.llm.on(client.text("hi"), replies.hang(), replies.echo())
    old = (await client.say("hi"))["job_id"]
    await client.asked()
    await client.cancel(old)

    new = (await client.retry(old)).json["job_id"]

    await client.ended(new, "completed")


async def test_a_retry_that_fails_can_be_retried(client: Client) -> None:
    client.relay.llm.on(client.text("bad"), replies.status(400), replies.status(400), replies.echo())
    chain = [(await client.say("bad"))["job_id"]]
    for state in ("failed", "failed"):
        await client.ended(chain[-1], state)
        chain.append((await client.retry(chain[-1])).json["job_id"])

    job = await client.ended(chain[-1], "completed")
    assert job["retry_of"] == chain[-2]


async def test_a_completed_job_cannot_be_retried(client: Client) -> None:
    job_id = (await client.say())["job_id"]
    await client.ended(job_id, "completed")

    problem(await client.retry(job_id), 409, "conflict")


async def test_a_job_that_has_not_ended_cannot_be_retried(client: Client) -> None:
    client.relay.llm.on(client.text("slow"), replies.hang())
    job_id = (await client.say("slow"))["job_id"]
    await client.asked()

    problem(await client.retry(job_id), 409, "conflict")

    await client.cancel(job_id)


# Resending.


async def test_a_resend_sends_the_same_bytes_under_the_same_id_signed_anew(client: Client) -> None:
    job_id = (await client.say())["job_id"]
    delivery = (await client.settled(job_id))["delivery"]

    reply = await client.resend(delivery["id"])

    assert reply.status == 202
    assert (reply.json["id"], reply.json["job_id"], reply.json["status"]) == (delivery["id"], job_id, "pending")
    first, again = await client.callbacks(2)
    assert (again.id, again.body) == (first.id, first.body)
    assert again.verified
    job = await client.until(job_id, lambda job: len(job["delivery"]["attempts"]) == 2, "delivered again")
    assert (await client.settled(job_id))["response"] == job["response"]
    assert len(client.calls) == 1


async def test_a_dead_delivery_is_resent_and_delivered(client: Client) -> None:
    async with Receiver(SECRET) as receiver:
        receiver.on(client.path, behaviours.gone(), behaviours.status(204))
        job_id = (await client.say(callback_url=receiver.url(client.path)))["job_id"]
        dead = await client.settled(job_id, "dead")

        await client.resend(dead["delivery"]["id"])

        delivered = await client.settled(job_id, "delivered")
    assert [attempt["http_status"] for attempt in delivered["delivery"]["attempts"]] == [410, 204]


async def test_a_delivery_that_waits_for_another_try_is_sent_at_once(client: Client) -> None:
    async with Receiver(SECRET) as receiver:
        receiver.on(client.path, behaviours.retry_after(3600), behaviours.status(200))
        job_id = (await client.say(callback_url=receiver.url(client.path)))["job_id"]
        waiting = await client.until(
            job_id, lambda job: (job["delivery"] or {}).get("next_attempt_at") and job["delivery"]["attempts"], "waits"
        )

        assert (await client.resend(waiting["delivery"]["id"])).status == 202

        await client.settled(job_id)


@pytest.mark.parametrize("act", ["one", "all", "test"])
async def test_who_says_that_a_receiver_is_back_waits_for_no_probe(client: Client, act: str) -> None:
    async with Receiver(SECRET) as receiver:
        # Given a receiver that hung up so often that it is left alone for a while
        url = receiver.url(client.path)
        receiver.on(client.path, behaviours.hang_up())
        jobs = [
            (await client.say(f"{n}", callback_url=url, session_id=f"{n}"))["job_id"]
            for n in range(2 * FAILURES_TO_OPEN)
        ]
        await receiver.wait_for(FAILURES_TO_OPEN)
        waiting = await client.settled(jobs[-1], "pending")
        receiver.on(client.path, behaviours.status(200))

        # When its owner sends again, or tries it
        async with asyncio.timeout(SHORTEST_PAUSE - 1):
            match act:
                case "one":
                    await client.resend(waiting["delivery"]["id"])
                case "all":
                    await client.request("POST", "/v1/deliveries/resend", json={"status": "pending"})
                case _:
                    await client.request("POST", "/v1/receivers/test", json={"url": url})

            # Then what waits comes
            await client.settled(jobs[-1])


async def test_the_path_of_the_first_edition_resends_too(client: Client) -> None:
    delivery = (await client.settled((await client.say())["job_id"]))["delivery"]

    assert (await client.request("POST", f"/v1/deliveries/{delivery['id']}/replay")).status == 202

    assert len(await client.callbacks(2)) == 2


async def test_an_unknown_delivery_is_not_found(client: Client) -> None:
    problem(await client.resend("msg_nothing"), 404, "not_found")


async def test_a_job_id_is_no_delivery_id(client: Client) -> None:
    problem(await client.resend((await client.say())["job_id"]), 404, "not_found")


async def test_anothers_delivery_is_not_found_and_not_sent(client: Client, other: Client) -> None:
    job_id = (await client.say())["job_id"]
    before = await client.settled(job_id)

    problem(await other.resend(before["delivery"]["id"]), 404, "not_found")

    assert await client.job(job_id) == before
