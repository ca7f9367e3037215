"""Responses: listed, shown with their items, watched while they come, cancelled and deleted."""

import asyncio

from browsing import Browser, Visitor
from playwright.async_api import expect
from storefront import OPERATOR, Shop, shop

from answerback.testing import replies


async def test_a_response_shows_its_input_and_output(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Write a haiku about a queue.", replies.say("Patient rows of jobs"))
    body = {"input": "Write a haiku about a queue.", "instructions": "Be brief."}
    made = await running.request("POST", "/v1/responses", body, visitor.key)

    page = await visitor.open("/console/responses")
    await page.locator(f"a[href='/console/responses/{made['id']}']").first.click()

    await visitor.sees("Patient rows of jobs")
    await visitor.sees("Write a haiku about a queue.")
    await visitor.sees("Be brief.")
    assert await visitor.faults() == []

    await visitor.role("button", "Delete").click()
    await visitor.agrees("Delete the response")

    await page.wait_for_url("**/console/responses")


async def test_a_background_response_is_watched_and_cancelled(visitor: Visitor, running: Shop) -> None:
    never = asyncio.Event()
    running.llm.on("Take your time.", replies.hang(never))
    body = {"input": "Take your time.", "background": True, "stream": False}
    made = await running.request("POST", "/v1/responses", body, visitor.key)

    page = await visitor.open(f"/console/responses/{made['id']}")
    await page.get_by_text("Queued").or_(page.get_by_text("In progress")).first.wait_for()
    await visitor.role("button", "Cancel").click()

    await page.get_by_text("Cancelled", exact=True).wait_for()
    never.set()


async def test_the_events_of_a_stream_are_shown(visitor: Visitor, running: Shop) -> None:
    ready = asyncio.Event()
    running.llm.on("Say it slowly.", replies.hang(ready, replies.say("Once upon a time")))
    body = {"input": "Say it slowly.", "background": True, "stream": True}
    headers = {"Authorization": f"Bearer {visitor.key}"}
    async with running.http.post(f"{running.service.url}/v1/responses", json=body, headers=headers) as stream:
        line = await anext(aiter(stream.content.iter_any()))
        made = line.decode().split('"id":"')[1].split('"')[0]
        page = await visitor.open(f"/console/responses/{made}")
        await page.locator(".events").get_by_text("response.created").wait_for()
        ready.set()

        await page.locator(".events").get_by_text("response.completed").wait_for()
        await visitor.sees("Once upon a time")


async def test_a_response_that_ended_before_it_was_cancelled_says_so(visitor: Visitor, running: Shop) -> None:
    ready = asyncio.Event()
    running.llm.on("Take a while.", replies.hang(ready, replies.say("Here it is")))
    body = {"input": "Take a while.", "instructions": "Be brief. " * 100, "background": True}
    made = await running.request("POST", "/v1/responses", body, visitor.key)
    page = await visitor.open(f"/console/responses/{made['id']}")
    await expect(page).to_have_title(f"Response …{made['id'][-8:]} · Answerback")
    await visitor.role("button", "Show all 1,000 characters").wait_for()
    ended = {**made, "status": "completed"}
    await page.route("**/cancel", lambda route: route.fulfill(json=ended))

    await visitor.role("button", "Cancel").click()

    await visitor.sees("It had already ended: completed.")
    ready.set()


async def test_an_operator_sees_the_responses_of_all_tenants(owner: Visitor, running: Shop) -> None:
    key = await running.new_key("press-office")
    made = await running.request("POST", "/v1/responses", {"input": "Do you ship to Norway?"}, key)
    page = await owner.open("/console/responses")

    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Response {made['id']}"))
    await row.get_by_text("of press-office").wait_for()
    await row.get_by_role("link").first.click()

    await page.wait_for_url("**/console/jobs/job_*?tenant=*")
    await owner.sees("Answered")


async def test_events_are_read_on_after_the_service_was_killed(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        visitor.expected.append("net::ERR_")
        half = b'data: {"id": "x", "choices": [{"index": 0, "delta": {"content": "Once "}, "finish_reason": null}]}\n\n'
        running.llm.on("Write a tale.", replies.stream(half, "never"), replies.say("Once upon a time"))
        body = {"input": "Write a tale.", "background": True, "stream": True}
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        async with running.http.post(f"{running.service.url}/v1/responses", json=body, headers=headers) as stream:
            line = await anext(aiter(stream.content.iter_any()))
        made = line.decode().split('"id":"')[1].split('"')[0]
        page = await visitor.open(f"/console/responses/{made}")
        events = page.locator(".events")
        await events.get_by_text("response.output_text.delta").first.wait_for()

        await running.service.kill()
        await running.service.start()

        await events.get_by_text("response.completed").wait_for(timeout=90_000)
        assert await events.get_by_text("response.created").count() == 1


async def test_who_comes_back_to_a_response_sees_that_it_is_gone(visitor: Visitor, running: Shop) -> None:
    visitor.expected.append("404")
    made = await running.request("POST", "/v1/responses", {"input": "Do you ship to Norway?"}, visitor.key)
    page = await visitor.open(f"/console/responses/{made['id']}")
    await page.locator("main:not([aria-busy])").wait_for()
    await running.request("DELETE", f"/v1/responses/{made['id']}", key=visitor.key)

    await page.evaluate("dispatchEvent(new Event('focus'))")

    await visitor.sees("This is not kept any more")
