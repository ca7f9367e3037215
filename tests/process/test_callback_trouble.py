"""Receivers that stumble: the same callback comes again, in order, until it is taken or given up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from relay import SECRET, Client

from answerback.testing import behaviours
from answerback.testing.receiver import Receiver


@pytest_asyncio.fixture(loop_scope="session")
async def own() -> AsyncIterator[Receiver]:
    """A receiver of this story alone: what it does to callbacks moves no circuit breaker of others."""
    async with Receiver(SECRET) as receiver:
        yield receiver


async def settled(client: Client, own: Receiver, state: str = "delivered", **changes: object) -> dict[str, object]:
    """The delivery of a message to this receiver, once it is in this state."""
    accepted = await client.say(callback_url=own.url(client.path), **changes)
    delivery: dict[str, object] = (await client.settled(accepted["job_id"], state))["delivery"]
    return delivery


def outcomes(delivery: dict[str, object]) -> list[tuple[str, int | None]]:
    attempts: list[dict[str, object]] = delivery["attempts"]  # type: ignore[assignment]
    return [(attempt["status"], attempt["http_status"]) for attempt in attempts]  # type: ignore[misc]


@pytest.mark.parametrize("status", [500, 503, 404, 400, 429, 304])
async def test_a_callback_that_is_not_taken_comes_again_the_same(client: Client, own: Receiver, status: int) -> None:
    own.on(client.path, behaviours.status(status), behaviours.status(204))

    delivery = await settled(client, own)

    assert outcomes(delivery) == [("retry", status), ("delivered", 204)]
    first, second = await client.callbacks(2, own)
    assert first.id == second.id == delivery["id"]
    assert first.body == second.body
    assert first.verified
    assert second.verified


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_takes_it(client: Client, own: Receiver, status: int) -> None:
    own.on(client.path, behaviours.status(status))

    assert outcomes(await settled(client, own)) == [("delivered", status)]


async def test_410_ends_it(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.gone())

    delivery = await settled(client, own, "dead")

    assert outcomes(delivery) == [("dead", 410)]
    assert delivery["next_attempt_at"] is None


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(client: Client, own: Receiver, code: int) -> None:
    own.on(client.path, behaviours.redirect(own.url("/elsewhere"), code), behaviours.status(200))

    delivery = await settled(client, own)

    assert outcomes(delivery) == [("retry", code), ("delivered", 200)]
    assert {callback.path for callback in own.callbacks} == {client.path}


async def test_a_closed_connection_is_a_failure_without_a_status(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.hang_up(), behaviours.status(200))

    assert outcomes(await settled(client, own)) == [("retry", None), ("delivered", 200)]


async def test_retry_after_is_honoured(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.retry_after(3600))
    accepted = await client.say(callback_url=own.url(client.path))

    job = await client.until(
        accepted["job_id"],
        lambda job: job["delivery"] and job["delivery"]["status"] == "pending" and job["delivery"]["attempts"],
        "waits",
    )

    due = datetime.fromisoformat(job["delivery"]["next_attempt_at"])
    assert due - datetime.now(UTC) > timedelta(seconds=3500)


async def test_what_is_never_taken_is_given_up_when_the_schedule_ends(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.status(500))

    delivery = await settled(client, own, "dead")

    assert outcomes(delivery) == [("retry", 500), ("retry", 500), ("dead", 500)]


async def test_what_the_receiver_said_is_kept_for_the_owner(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.status(410, "we moved to example.org"))

    (attempt,) = (await settled(client, own, "dead"))["attempts"]  # type: ignore[misc]

    assert attempt["response_snippet"] == "we moved to example.org"


async def test_a_callback_that_fails_asks_the_llm_no_second_time(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.status(500), behaviours.status(200))

    await settled(client, own)

    assert len(client.calls) == 1


async def test_callbacks_of_one_conversation_arrive_in_order_though_the_first_fails(
    client: Client, own: Receiver
) -> None:
    own.on(client.path, behaviours.status(500), behaviours.status(500), behaviours.status(200))
    for text in ("one", "two", "three"):
        await client.say(text, callback_url=own.url(client.path))

    callbacks = await client.callbacks(5, own)

    assert [callback.json["seq"] for callback in callbacks] == [1, 1, 1, 2, 3]


async def test_a_dead_callback_lets_the_next_of_its_conversation_go(client: Client, own: Receiver) -> None:
    own.on(client.path, behaviours.gone(), behaviours.status(200))
    await client.say("one", callback_url=own.url(client.path))

    assert outcomes(await settled(client, own)) == [("delivered", 200)]


async def test_another_conversation_does_not_wait_for_a_callback_that_hangs(client: Client, own: Receiver) -> None:
    taken = asyncio.Event()
    own.on(client.path, behaviours.delayed(taken), behaviours.status(200))
    await client.say("one", session_id="a", callback_url=own.url(client.path))
    await client.callbacks(1, own)
    behind = await client.say("two", session_id="a", callback_url=own.url(client.path))
    await client.ended(behind["job_id"], "completed")

    await settled(client, own, session_id="b")

    assert [callback.json["session_id"] for callback in own.callbacks] == ["a", "b"]
    assert (await client.job(behind["job_id"]))["delivery"]["status"] == "held"
    taken.set()
    await client.settled(behind["job_id"])
