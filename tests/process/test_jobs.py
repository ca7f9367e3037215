"""`GET /v1/jobs`, `GET /v1/jobs/{id}` and cancelling."""

from datetime import datetime, timedelta

import pytest
from relay import Client, problem

from answerback.testing import replies

JOB = {
    *(
        "job_id",
        "kind",
        "status",
        "session_id",
        "seq",
        "attempt",
        "run_at",
        "created_at",
        "completed_at",
        "deadline_at",
    ),
    *("model", "usage", "finish_reason", "error", "callback_url", "retry_of", "key_id", "delivery"),
}
DETAILS = JOB | {
    *("message", "system", "params", "response", "metadata", "claimed_at", "waiting_for", "lease_losses"),
    *("retried_as", "attempts_made", "attempts", "deliveries"),
}
ATTEMPT = {
    *("number", "status", "started_at", "finished_at", "duration_ms", "http_status", "error", "response_snippet"),
}
DELIVERY = {
    *(
        "id",
        "job_id",
        "status",
        "held_by",
        "url",
        "endpoint_id",
        "attempt",
        "next_attempt_at",
        "delivered_at",
        "attempts",
    )
}


async def test_a_tenant_without_jobs_sees_an_empty_page(client: Client) -> None:
    assert await client.get("/v1/jobs") == {"items": [], "next": None}


async def test_jobs_are_listed_newest_first_in_pages(client: Client) -> None:
    made = [(await client.say(stateless=True))["job_id"] for _ in range(5)]

    first = await client.get("/v1/jobs?limit=2")
    second = await client.get(f"/v1/jobs?limit=2&before={first['next']}")
    third = await client.get(f"/v1/jobs?limit=2&before={second['next']}")

    pages = [[job["job_id"] for job in page["items"]] for page in (first, second, third)]
    assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]
    assert third["next"] is None
    assert all(job.keys() == JOB for job in first["items"])


async def test_a_page_that_holds_all_says_that_nothing_follows(client: Client) -> None:
    for _ in range(2):
        await client.say(stateless=True)

    assert (await client.get("/v1/jobs?limit=2"))["next"] is None


async def test_20_jobs_are_listed_by_default_and_100_at_most(client: Client) -> None:
    for _ in range(21):
        await client.say(stateless=True)

    assert len(await client.jobs()) == 20
    assert len(await client.jobs("?limit=100")) == 21


async def test_an_empty_filter_counts_as_absent(client: Client) -> None:
    made = await client.say(stateless=True)

    page = await client.get("/v1/jobs?status=&kind=&session_id=&delivery=&limit=&before=")

    assert [job["job_id"] for job in page["items"]] == [made["job_id"]]


async def test_jobs_are_filtered_by_status_kind_delivery_and_conversation(client: Client) -> None:
    client.relay.llm.on(client.text("bad"), replies.status(400))
    good, bad = await client.say("good", session_id="a/b?"), await client.say("bad", session_id="c")
    await client.callbacks(2)

    async def listed(query: str) -> list[str]:
        return [job["job_id"] for job in await client.jobs(query)]

    assert await listed("?status=completed") == [good["job_id"]]
    assert await listed("?status=failed") == [bad["job_id"]]
    assert await listed("?status=queued") == []
    assert await listed("?kind=message") == [bad["job_id"], good["job_id"]]
    assert await listed("?kind=review") == []
    await client.settled(good["job_id"])
    assert good["job_id"] in await listed("?delivery=delivered&status=completed&kind=message")
    assert await listed("?delivery=dead") == []
    assert await listed("?session_id=a%2Fb%3F") == [good["job_id"]]
    assert await listed("?session_id=a%2Fb%3F&status=failed") == []
    assert await listed("?session_id=nobody") == []


async def test_an_answered_job_shows_its_answer_its_attempt_and_its_delivery(client: Client) -> None:
    client.relay.llm.on(client.text("hi"), replies.say("Hello."))
    accepted = await client.say("hi", session_id="s", metadata={"m": 1})

    job = await client.settled(accepted["job_id"])

    assert job.keys() == DETAILS
    assert (job["status"], job["response"], job["error"]) == ("completed", "Hello.", None)
    assert (job["session_id"], job["seq"], job["metadata"]) == ("s", 1, {"m": 1})
    assert (job["attempt"], job["run_at"], job["callback_url"]) == (1, None, client.callback_url)
    assert job["usage"]["total_tokens"] > 0
    (attempt,) = job["attempts"]
    assert attempt.keys() == ATTEMPT | {"put_off", "put_off_for"}
    assert (attempt["put_off"], attempt["put_off_for"]) == (0, None)
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, "answered", None)
    delivery = job["delivery"]
    assert job["deliveries"] == [delivery]
    assert delivery.keys() == DELIVERY
    assert (delivery["status"], delivery["url"], delivery["next_attempt_at"]) == (
        *("delivered", client.callback_url, None),
    )
    (sent,) = delivery["attempts"]
    assert sent.keys() == ATTEMPT
    assert (sent["number"], sent["status"], sent["http_status"]) == (1, "delivered", 200)


async def test_a_list_says_of_a_long_answer_what_the_jobs_own_page_says(client: Client) -> None:
    client.relay.llm.on(client.text("recite"), replies.say("word " * 30_000))
    accepted = await client.say("recite")
    job = await client.settled(accepted["job_id"])

    (listed,) = (await client.get("/v1/jobs"))["items"]

    shown = ("model", "usage", "finish_reason")
    assert [listed[name] for name in shown] == [job[name] for name in shown]
    assert (listed["finish_reason"], listed["usage"]["total_tokens"] > 0) == ("stop", True)


async def test_the_deadline_is_a_day_after_acceptance(client: Client) -> None:
    job = await client.job((await client.say())["job_id"])

    created, deadline = (datetime.fromisoformat(job[name]) for name in ("created_at", "deadline_at"))
    assert abs(deadline - created - timedelta(days=1)) < timedelta(seconds=1)


async def test_a_job_under_way_counts_the_attempt_that_has_begun(client: Client) -> None:
    client.relay.llm.on(client.text("slow"), replies.hang())
    accepted = await client.say("slow")
    await client.asked()

    job = await client.job(accepted["job_id"])

    assert (job["status"], job["attempt"], job["delivery"]) == ("running", 1, None)
    assert (job["attempts_made"], job["attempts"], job["deliveries"]) == (0, [], [])
    await client.cancel(accepted["job_id"])


@pytest.mark.parametrize("method", ["GET", "cancel", "retry"])
async def test_anothers_job_is_not_found(client: Client, other: Client, method: str) -> None:
    client.relay.llm.on(client.text("bad"), replies.status(400))
    job_id = (await client.say("bad"))["job_id"]
    before = await client.settled(job_id)
    path = f"/v1/jobs/{job_id}"

    reply = await (other.request("GET", path) if method == "GET" else other.request("POST", f"{path}/{method}"))

    problem(reply, 404, "not_found")
    assert await client.job(job_id) == before


async def test_anothers_jobs_are_not_listed(client: Client, other: Client) -> None:
    await client.say(session_id="s")

    assert len(await client.jobs(f"?before=job_{'f' * 32}")) == 1
    assert await other.jobs() == []
    assert await other.jobs("?session_id=s") == []
    assert await other.jobs(f"?before=job_{'f' * 32}") == []


# Cancelling.


async def test_cancelling_a_running_job_stops_its_call_to_the_llm(client: Client) -> None:
    llm = client.relay.llm
    llm.on(client.text("slow"), replies.hang())
    accepted = await client.say("slow")
    await client.asked()
    gone = llm.disconnects

    reply = await client.cancel(accepted["job_id"])

    assert reply.status == 200
    assert reply.json.keys() == DETAILS
    assert (reply.json["status"], reply.json["error"]["code"]) == ("cancelled", "cancelled")
    await llm.wait_for_disconnects(gone + 1)
    (attempt,) = (await client.job(accepted["job_id"]))["attempts"]
    assert attempt["status"] == "cancelled"
    assert attempt["finished_at"] is not None


async def test_cancelling_a_held_job_lets_those_around_it_be(client: Client) -> None:
    client.relay.llm.on(client.text("slow"), replies.hang(), replies.echo())
    first, second, third = [await client.say(text) for text in ("slow", "unwanted", "wanted")]
    await client.asked()

    assert (await client.cancel(second["job_id"])).json["status"] == "cancelled"
    await client.cancel(first["job_id"])

    await client.ended(third["job_id"], "completed")
    assert [call.user for call in client.calls] == [client.text("slow"), client.text("wanted")]


async def test_cancelling_a_job_that_waits_for_another_try_asks_the_llm_no_more(client: Client) -> None:
    client.relay.llm.on(client.text("limited"), replies.status(429, headers={"Retry-After": "3600"}))
    accepted = await client.say("limited", model="rests-an-hour")
    await client.until(accepted["job_id"], lambda job: job["error"], "waits")

    job = (await client.cancel(accepted["job_id"])).json

    assert (job["status"], job["run_at"]) == ("cancelled", None)
    (callback,) = await client.callbacks()
    assert callback.json["status"] == "cancelled"
    assert len(client.calls) == 1


async def test_cancelling_twice_is_no_error_and_owes_one_callback(client: Client) -> None:
    client.relay.llm.on(client.text("slow"), replies.hang())
    accepted = await client.say("slow", stateless=True)
    await client.asked()

    first, second = [await client.cancel(accepted["job_id"]) for _ in range(2)]

    assert (first.status, second.status) == (200, 200)
    assert first.json["completed_at"] == second.json["completed_at"]
    await client.settled(accepted["job_id"])
    assert len(await client.callbacks()) == 1


@pytest.mark.parametrize(("reply", "state"), [(replies.echo(), "completed"), (replies.status(400), "failed")])
async def test_a_job_that_ended_otherwise_cannot_be_cancelled(client: Client, reply: replies.Reply, state: str) -> None:
    client.relay.llm.on(client.text("hi"), reply)
    accepted = await client.say("hi")
    await client.ended(accepted["job_id"], state)

    problem(await client.cancel(accepted["job_id"]), 409, "conflict")

    assert (await client.job(accepted["job_id"]))["status"] == state
