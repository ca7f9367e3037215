"""A page that the service could not bring says so, and comes by itself once it can."""

import pytest
from browsing import Browser, Visitor
from playwright.async_api import expect
from storefront import OPERATOR, Shop, shop

from answerback.testing import replies

INTERRUPTED = "connection to the service is interrupted"
A_WHILE_MS = 8_000
"""Longer than pages wait between their looks at what may have changed."""


@pytest.mark.parametrize("name", ["Models", "Receivers"])
async def test_a_page_that_could_not_be_loaded_comes_once_the_service_answers(visitor: Visitor, name: str) -> None:
    visitor.expected.append("ERR_INTERNET_DISCONNECTED")
    page = await visitor.open("/console/jobs")
    await page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    await page.evaluate("globalThis.isTheSame = true")
    await page.context.set_offline(True)

    await visitor.role("link", name).click()
    await visitor.sees("The service cannot be reached")
    await page.context.set_offline(False)

    await page.get_by_role("heading", name=name, exact=True).wait_for()
    assert await page.evaluate("globalThis.isTheSame")


async def test_a_page_that_is_live_says_when_it_is_not(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        visitor.expected.append("net::ERR_")
        await visitor.page.clock.install()
        page = await visitor.open("/console")
        await page.get_by_text("Live", exact=True).wait_for()
        await visitor.sees("Open jobs")
        await visitor.sees("No jobs yet")

        await running.service.kill()
        await page.get_by_text("Connecting…").wait_for()
        await page.clock.run_for(A_WHILE_MS)

        await page.get_by_role("status").filter(has_text="connection to the service is interrupted").wait_for()
        await visitor.sees("Open jobs")
        await running.service.start()
        await page.get_by_text("connection to the service is interrupted").wait_for(state="detached")
        await page.get_by_text("Live", exact=True).wait_for()


async def test_every_page_says_that_the_service_is_down_until_it_is_back(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        visitor.expected.append("net::ERR_")
        job = await running.say("Do you ship to Norway?", key=OPERATOR, session_id="customer-1")
        paths = (
            "",
            "/playground",
            "/jobs",
            f"/jobs/{job}",
            "/conversations",
            "/receivers",
            "/models",
            "/responses",
            "/keys",
        )
        pages = []
        for path in paths:
            page = await visitor.context.new_page()
            await page.clock.install()
            await page.goto(f"{running.service.url}/console{path}")
            await page.get_by_text("Live", exact=True).wait_for()
            # A page that has not drawn yet what it reads first says instead that it cannot be brought.
            await page.locator("main:not([aria-busy])").wait_for()
            pages.append(page)

        await running.service.kill()

        down = [page.get_by_role("status").filter(has_text="service") for page in pages]
        for page, banner in zip(pages, down, strict=True):
            await banner.wait_for()
            await page.clock.run_for(A_WHILE_MS)
            await expect(banner).to_be_visible()
        await running.service.start()
        for page, banner in zip(pages, down, strict=True):
            await page.get_by_text("Live", exact=True).wait_for(timeout=60_000)
            await page.clock.run_for(4 * A_WHILE_MS)
            await banner.wait_for(state="hidden")


async def test_a_service_that_stands_still_is_not_taken_for_live(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        await visitor.page.add_init_script("delete globalThis.SharedWorker")
        await visitor.page.clock.install()
        page = await visitor.open("/console/jobs")
        await page.get_by_text("Live", exact=True).wait_for()
        banner = page.get_by_role("status").filter(has_text=INTERRUPTED)

        running.service.stop()
        try:
            await page.clock.run_for(10_000)
            await page.get_by_text("Connecting…").wait_for()
            await page.clock.run_for(5_000)
            await banner.wait_for()
        finally:
            running.service.cont()

        await page.clock.run_for(10_000)
        await page.get_by_text("Live", exact=True).wait_for()
        await banner.wait_for(state="hidden")


async def test_a_job_that_is_not_kept_any_more_is_asked_for_no_more(visitor: Visitor, running: Shop) -> None:
    visitor.expected.append("404")
    running.llm.on("Stay a while.", replies.hang(running.never))
    job = await running.say("Stay a while.", key=visitor.key)
    await visitor.page.clock.install()
    page = await visitor.open(f"/console/jobs/{job}")
    await page.get_by_role("heading", name="Timeline").wait_for()
    gone = {"error": {"code": "not_found", "message": "There is no such job"}}
    asked: list[str] = []
    await page.route(f"**/v1/jobs/{job}", lambda route: (asked.append(job), route.fulfill(status=404, json=gone))[1])

    await page.clock.run_for(60_000)
    await visitor.sees("This is not kept any more")
    await page.clock.run_for(60_000)

    assert len(asked) == 1
