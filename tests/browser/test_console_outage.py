"""A page that the service could not bring says so, and comes by itself once it can."""

import pytest
from browsing import Browser, Visitor
from storefront import OPERATOR, shop


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
        page = await visitor.open("/console")
        await page.get_by_text("Live", exact=True).wait_for()
        await visitor.sees("Open jobs")
        await visitor.sees("No jobs yet")

        await running.service.kill()

        await page.get_by_role("status").filter(has_text="connection to the service is interrupted").wait_for()
        await visitor.sees("Open jobs")
        await running.service.start()
        await page.get_by_text("connection to the service is interrupted").wait_for(state="detached")
        await page.get_by_text("Live", exact=True).wait_for()
