"""A job's timeline, and what can be done from it."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest
from browsing import Browser, Visitor
from playwright.async_api import Page
from storefront import KEY, MODEL, Shop, shop

from answerback.testing import behaviours, replies
from eventually import eventually


async def test_a_job_that_waits_names_the_one_before_it(owner: Visitor, day: Sequence[str]) -> None:
    page = await owner.open(f"/console/jobs/{day[9]}")

    await owner.sees("Waits for its turn")
    await owner.sees("And without a table?")
    await page.get_by_role("link", name=day[8]).click()
    await page.wait_for_url(f"**/console/jobs/{day[8]}")
    await owner.sees("Compare all kettles in a table.")


async def test_a_link_to_a_job_opens_for_its_tenant_and_for_operators(
    owner: Visitor, visitor: Visitor, running: Shop
) -> None:
    running.receiver.on("/down", behaviours.gone())
    job = await running.say("Is the kettle BPA-free?", key=visitor.key, session_id="shared", path="/down")
    page = await visitor.open("/console/jobs")
    await page.locator(f"tr[data-key='{job}'] a.whole").click()
    await visitor.sees("Attempt 1: HTTP 410")

    operators = await owner.open(page.url.removeprefix(visitor.url))
    await owner.sees("Attempt 1: HTTP 410")
    running.receiver.on("/down", behaviours.status(200))
    await owner.role("button", "Resend").click()
    await operators.get_by_text("Delivered", exact=True).wait_for()
    await owner.role("link", "shared").click()
    await operators.wait_for_url("**/console/conversation?session=shared&tenant=*")

    await visitor.open(operators.url.removeprefix(owner.url))
    await visitor.sees("Everything that touches water is steel or glass.")


async def test_a_job_is_a_timeline_of_all_that_happened(owner: Visitor, day: Sequence[str]) -> None:
    overloaded = day[-1]
    page = await owner.open(f"/console/jobs/{overloaded}")

    await owner.sees("Answered")
    steps = [text.split("\n")[0] for text in await page.locator(".timeline > li").all_inner_texts()]
    asked = [step for step in steps if step.startswith("Asked the LLM")]
    assert steps[0] == "Accepted"
    assert asked == ["Asked the LLM, attempt 1", "Asked the LLM, attempt 2"]
    assert [step for step in steps if step.startswith("Waited")]
    await owner.sees("For another try.")
    await owner.sees("HTTP 503")
    await owner.sees("The Aurora, at 48 decibels.")
    facts = re.compile(rf"{MODEL} · [1-9]\d* tokens · finish reason stop")
    await page.locator(".timeline").get_by_text(facts).wait_for()
    assert await owner.faults() == []


async def test_a_callback_that_failed_shows_each_attempt_and_when_the_next_is_due(
    owner: Visitor, day: Sequence[str]
) -> None:
    page = await owner.open(f"/console/jobs/{day[3]}")

    await owner.sees("the CRM is being updated")
    await owner.sees("Attempt 1: HTTP 503")
    due = await page.locator(".countdown time").first.inner_text()
    assert due.startswith("Next attempt in ")
    assert await page.locator(".countdown time").first.get_attribute("title")


async def open_owed(visitor: Visitor, running: Shop, due: str, attempts: Sequence[Any]) -> Page:
    """The page of a job whose callback is due then, after these attempts."""
    running.receiver.on("/gone", behaviours.gone())
    job = await running.say("Is the kettle BPA-free?", key=visitor.key, path="/gone")
    await eventually(lambda: is_settled(running, job, visitor.key), "its callback failed")
    body = await running.job(job, visitor.key)
    (owed,) = body["deliveries"]
    owed |= {"status": "pending", "next_attempt_at": due, "attempts": attempts}
    await visitor.page.route(f"**/v1/jobs/{job}*", lambda route: route.fulfill(json=body))
    return await visitor.open(f"/console/jobs/{job}")


async def is_settled(running: Shop, job: str, key: str | None) -> bool:
    return bool(((await running.job(job, key))["delivery"] or {}).get("status") == "dead")


async def test_a_callback_that_is_due_while_its_receiver_rests_says_so(visitor: Visitor, running: Shop) -> None:
    at = "2026-01-01T11:59:00.000Z"
    failed = {"number": 1, "status": "retry", "started_at": at, "finished_at": at, "duration_ms": 1}
    failed |= {"http_status": None, "error": "the receiver closed the connection", "response_snippet": None}

    page = await open_owed(visitor, running, "2026-01-01T12:00:00.000Z", [failed])

    await visitor.sees("Due; its receiver rests")
    await page.locator(".countdown").get_by_role("link", name="Its receiver").click()
    await page.wait_for_url("**/console/receivers")


async def test_a_callback_that_was_not_sent_yet_leads_to_its_receiver(visitor: Visitor, running: Shop) -> None:
    page = await open_owed(visitor, running, "2126-01-01T12:00:00.000Z", [])

    await visitor.sees("Next attempt in")
    await page.locator(".countdown").get_by_role("link", name="Its receiver").wait_for()


async def test_a_callback_that_waits_for_a_receiver_that_is_down_says_so(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/down", behaviours.hang_up())

    async def say() -> str:
        return await running.say("Is the kettle BPA-free?", key=visitor.key, path="/down", stateless=True)

    async def is_tried(job: str) -> bool:
        return bool((await running.job(job, visitor.key))["delivery"]["attempts"])

    for job in [await say() for _ in range(5)]:
        await eventually(lambda job=job: is_tried(job), "its callback failed")

    await visitor.open(f"/console/jobs/{await say()}")

    await visitor.sees("Not sent yet: its receiver could not be reached before.")
    await visitor.sees("Next attempt in")
    assert await visitor.faults() == []


async def test_an_event_to_an_endpoint_is_named_as_one(visitor: Visitor, running: Shop) -> None:
    endpoint = {"name": "log", "url": running.receiver.url("/log"), "event_types": ["message.completed"]}
    await running.request("POST", "/v1/webhook_endpoints", endpoint, visitor.key)
    job = await running.say("Is the kettle BPA-free?", key=visitor.key)

    page = await visitor.open(f"/console/jobs/{job}")

    timeline = page.locator(".timeline > li")
    event, callback = timeline.filter(has_text="Event to an endpoint"), timeline.filter(has_text="Callback")
    await event.get_by_text("/log").wait_for()
    await callback.get_by_text("/answers").wait_for()


async def test_an_open_job_can_be_cancelled_and_asked_again(
    visitor: Visitor, running: Shop, day: Sequence[str]
) -> None:
    assert visitor.key is not None
    job = await running.say("Compare all kettles in a table.", key=visitor.key)
    page = await visitor.open(f"/console/jobs/{job}")
    await visitor.sees("Asking the LLM")

    await visitor.role("button", "Cancel").click()
    await visitor.agrees("Cancel the job")

    await page.get_by_role("heading", name=job).wait_for()
    await visitor.role("button", "Ask again").click()
    await page.wait_for_url(lambda url: "/console/jobs/job_" in url and job not in url)
    await visitor.sees("Asked again of")


async def test_a_job_that_is_not_there_says_so(visitor: Visitor) -> None:
    visitor.expected.append("404")
    await visitor.page.goto(f"{visitor.url}/console/jobs/job_{'0' * 32}")

    await visitor.sees("no job")


async def test_a_try_before_its_turn_in_the_schedule_is_said_to_cost_no_attempt(
    visitor: Visitor, running: Shop
) -> None:
    job = await running.say("Is the kettle BPA-free?", key=visitor.key)
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    body = await running.job(job, visitor.key)
    (owed,) = body["deliveries"]
    refused = {"status": "retry", "started_at": body["created_at"], "finished_at": body["created_at"]}
    refused |= {"http_status": None, "duration_ms": 1, "error": "the connection was refused", "response_snippet": None}
    owed |= {"status": "pending", "attempt": 2, "next_attempt_at": "2099-01-01T12:00:00.000Z"}
    owed["attempts"] = [{**refused, "number": number} for number in (1, 2, 2, 3)]
    await visitor.page.route(f"**/v1/jobs/{job}*", lambda route: route.fulfill(json=body))

    page = await visitor.open(f"/console/jobs/{job}")

    await visitor.role("link", "Its receiver").wait_for()
    calls = [text.split(":")[0] for text in await page.locator(".attempts > li").all_inner_texts()]
    free = "Tried, costs no attempt"
    assert calls == ["Attempt 1", free, "Attempt 2", free]


async def test_a_call_that_the_provider_put_off_is_said_to_cost_no_attempt(browser: Browser) -> None:
    # The provider of this service rests then.
    async with shop() as running, browser.visit(running.service.url, KEY) as visitor:
        running.llm.on("Too many of me.", replies.status(503), replies.status(429, headers={"Retry-After": "600"}))
        job = await running.say("Too many of me.")
        page = await visitor.open(f"/console/jobs/{job}")
        await visitor.sees("Will be asked again")
        await page.locator(".timeline").get_by_text("HTTP 429").wait_for()

        asked = await page.locator(".timeline > li", has_text="Asked the LLM").all_inner_texts()

        titles = [text.split("\n")[0] for text in asked]
        assert titles == ["Asked the LLM, attempt 1", "Asked the LLM, costs no attempt"]
        # The last attempt says why; what it waits for does not say it again.
        assert await page.locator(".timeline .reason").count() == 2


async def test_a_wait_names_the_quota_that_was_used_up(browser: Browser) -> None:
    async with shop(UPSTREAM_CONCURRENCY="2") as running, browser.visit(running.service.url, KEY) as visitor:
        answered = asyncio.Event()
        running.llm.on("Take your time.", replies.hang(answered, replies.say("Done.")))
        # Two are asked, four wait within their attempts: the last ones are put off.
        jobs = [await running.say("Take your time.", stateless=True) for _ in range(8)]
        await running.service.until_logged("waits_for_its_turn", 2)
        answered.set()
        await running.receiver.wait_for(lambda came: len(came) == len(jobs), 20)

        await visitor.open(f"/console/jobs/{jobs[-1]}")

        await visitor.sees("For the provider: all 2 calls that 127.0.0.1 is asked at once are under way, put off")


@pytest.mark.parametrize(("put_off", "cause"), [(0, "For a free worker."), (2, "For the provider, which rested")])
async def test_a_wait_names_its_cause(visitor: Visitor, running: Shop, put_off: int, cause: str) -> None:
    job = await running.say("Is the kettle BPA-free?", key=visitor.key)
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    body = await running.job(job, visitor.key)
    assert body["attempts"][0]["put_off"] == 0
    body["created_at"] = "2026-01-01T12:00:00.000Z"
    body["attempts"][0]["put_off"] = put_off
    await visitor.page.route(f"**/v1/jobs/{job}*", lambda route: route.fulfill(json=body))

    await visitor.open(f"/console/jobs/{job}")

    await visitor.sees(cause)


async def test_a_wait_names_the_job_before_it(visitor: Visitor, running: Shop) -> None:
    jobs = []
    for _ in range(2):
        jobs.append(await running.say("Is the kettle BPA-free?", key=visitor.key, session_id="in-turn"))
        await running.receiver.wait_for(lambda came: any(jobs[-1].encode() in each.body for each in came), 20)
    body = {**await running.job(jobs[1], visitor.key), "created_at": "2026-01-01T12:00:00.000Z"}
    await visitor.page.route(f"**/v1/jobs/{jobs[1]}*", lambda route: route.fulfill(json=body))
    page = await visitor.open(f"/console/jobs/{jobs[1]}")

    wait = page.locator(".timeline > li", has_text="Waited")
    await wait.get_by_text(f"Behind {jobs[0]} of its conversation.").wait_for()
    await wait.get_by_role("link", name=jobs[0]).click()

    await page.wait_for_url(f"**/console/jobs/{jobs[0]}")


async def test_a_job_that_runs_again_shows_its_wait_and_its_row_no_error(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Ask me twice.", replies.status(503), replies.hang(running.never))
    job = await running.say("Ask me twice.", key=visitor.key)
    await visitor.open(f"/console/jobs/{job}")

    await visitor.sees("Asking the LLM, attempt 2")
    await visitor.sees("For another try.")

    page = await visitor.open("/console/jobs")
    row = page.locator(f"tr[data-key='{job}']")
    await row.get_by_text("Running").wait_for()
    assert await row.locator(".problem").count() == 0
    await running.request("POST", f"/v1/jobs/{job}/cancel", key=visitor.key)


async def test_how_a_job_ends_is_heard(visitor: Visitor, running: Shop) -> None:
    ready = asyncio.Event()
    running.llm.on("Take a moment.", replies.hang(ready, replies.say("Done.")))
    job = await running.say("Take a moment.", key=visitor.key)
    page = await visitor.open(f"/console/jobs/{job}")
    await page.get_by_role("heading", name="Timeline").wait_for()

    ready.set()

    await page.get_by_role("status").filter(has_text="The job is completed, its callback delivered.").wait_for()


async def test_who_comes_back_to_a_job_sees_that_it_was_erased(visitor: Visitor, running: Shop) -> None:
    job = await running.say("My name is Ada.", key=visitor.key, session_id="ada")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    page = await visitor.open(f"/console/jobs/{job}")
    await page.get_by_text("Delivered", exact=True).wait_for()
    await running.request("DELETE", "/v1/sessions/ada", key=visitor.key)

    await page.evaluate("dispatchEvent(new Event('focus'))")

    await visitor.sees("It was erased with its conversation.")
    assert "My name is Ada." not in await page.content()
