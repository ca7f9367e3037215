"""An LLM that stumbles: a queued message waits as a row and is asked again, and the caller hears one answer."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from relay import Client, Relay, Surroundings

from answerback.testing import replies

TROUBLES: Mapping[str, tuple[replies.Reply, str]] = {
    "a 500": (replies.status(500), "upstream_error"),
    "a 503": (replies.status(503), "upstream_error"),
    "an empty answer": (replies.message(""), "upstream_empty"),
    "a blank answer": (replies.message(" \n"), "upstream_empty"),
    "an answer without choices": (replies.completion(choices=[]), "upstream_invalid"),
    "an error inside a 200": (replies.error_in_200(502), "upstream_error"),
    "a rate limit inside a 200": (replies.error_in_200(429), "upstream_rate_limited"),
    "broken JSON": (replies.raw(b'{"choices": ['), "upstream_invalid"),
    "a closed connection": (replies.babble(b"HTTP/1.1 200 OK\r\nContent-"), "upstream_unreachable"),
    "half an answer": (replies.break_off(), "upstream_invalid"),
    "a 429": (replies.status(429), "upstream_rate_limited"),
    "a 429 that names its end": (replies.status(429, headers={"Retry-After": "1"}), "upstream_rate_limited"),
    "a timeout": (replies.hang(), "upstream_timeout"),
}

RESTING = "rests-for-long"
"""A model that its limit lays to rest, so that those of other tests are not."""

Story = tuple[Client, str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hurried(surroundings: Surroundings) -> AsyncIterator[Relay]:
    """A relay that waits a second for the LLM."""
    async with surroundings.running(keys=20, llm_timeout_seconds=1) as relay:
        yield relay


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stories(hurried: Relay) -> dict[str, Story]:
    """A message for each trouble, all waiting for their second try at the same time."""
    begun = {}
    for name, (trouble, _) in TROUBLES.items():
        client = hurried.client()
        hurried.llm.on(client.text(name), trouble, replies.say("better now"))
        begun[name] = (client, (await client.say(name, model=name.replace(" ", "-")))["job_id"])
    return begun


@pytest.mark.parametrize("name", TROUBLES)
async def test_after_a_trouble_the_message_is_asked_again_and_answered_once(
    stories: dict[str, Story], name: str
) -> None:
    client, job_id = stories[name]

    job = await client.settled(job_id)

    assert (job["status"], job["response"], job["error"]) == ("completed", "better now", None)
    first, second = job["attempts"]
    assert first["status"] == "retry"
    assert first["error"].startswith(TROUBLES[name][1])
    assert second["status"] == "answered"
    assert len(client.calls) == 2
    assert len(await client.callbacks()) == 1


async def test_a_limited_message_waits_as_a_row_until_the_limit_ends(client: Client) -> None:
    client.relay.llm.on(client.text("hi"), replies.status(429, headers={"Retry-After": "3600"}))
    accepted = await client.say("hi", model=RESTING)

    job = await client.until(accepted["job_id"], lambda job: job["error"], "waits")

    wait = datetime.fromisoformat(job["run_at"]) - datetime.now(UTC)
    assert timedelta(seconds=3500) < wait <= timedelta(seconds=3600 * 1.2)
    assert (job["status"], job["error"]["code"]) == ("scheduled", "upstream_rate_limited")
    assert job["attempt"] == 0, "a wait that the upstream asked for costs no attempt"
    assert [attempt["status"] for attempt in job["attempts"]] == ["retry"]
    await client.cancel(accepted["job_id"])


async def test_a_failing_message_shows_its_error_while_it_waits_and_costs_an_attempt(client: Client) -> None:
    client.relay.llm.on(client.text("hi"), replies.status(500, headers={"Retry-After": "3600"}))
    accepted = await client.say("hi")

    job = await client.until(accepted["job_id"], lambda job: job["error"], "waits")

    assert (job["status"], job["error"]["code"], job["attempt"]) == ("scheduled", "upstream_error", 1)
    assert (job["completed_at"], job["delivery"]) == (None, None)
    await client.cancel(accepted["job_id"])


async def test_what_waits_for_another_try_keeps_its_place_in_its_conversation(client: Client) -> None:
    client.relay.llm.on(client.text("one"), replies.status(429, headers={"Retry-After": "1"}), replies.echo())
    await client.say("one", model="rests-a-second")
    await client.say("two", model="rests-a-second")

    await client.callbacks(2)

    assert [call.user for call in client.calls] == [client.text(said) for said in ("one", "one", "two")]
