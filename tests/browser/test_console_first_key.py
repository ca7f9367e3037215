"""The first key of a service that has none: its maker sees it, and is signed in with it."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from browsing import Browser, Visitor
from playwright.async_api import Page, Response, Route
from storefront import Shop, shop

KEYLESS = {"AUTH_TOKEN": "", "OPERATOR_TOKEN": ""}


@pytest_asyncio.fixture(loop_scope="session")
async def keyless() -> AsyncIterator[Shop]:
    async with shop(**KEYLESS) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def maker(browser: Browser, keyless: Shop) -> AsyncIterator[Visitor]:
    async with browser.visit(keyless.service.url) as visitor:
        yield visitor


def is_refused(response: Response) -> bool:
    return "/v1/session?" in response.url and response.status == 204


async def make_a_key(visitor: Visitor, name: str) -> Page:
    page = await visitor.open("/console/keys")
    await page.get_by_text("Live", exact=True).wait_for()
    await visitor.role("button", "Make a key").click()
    await page.get_by_label("Name").fill(name)
    await visitor.agrees("Make the key")
    return page


async def test_the_first_key_is_shown_until_its_maker_closes_it(maker: Visitor, keyless: Shop) -> None:
    other = await maker.context.new_page()
    await other.goto(maker.url + "/console/jobs")
    await other.get_by_text("No keys yet").wait_for()

    page = await make_a_key(maker, "root")

    await other.get_by_text("root", exact=True).wait_for()
    await page.keyboard.press("Escape")
    shown = await page.locator("dialog pre").first.inner_text()
    assert (await keyless.request("GET", "/v1/session", key=shown))["operator"]

    await maker.agrees("Done")

    await page.get_by_role("row", name="root").get_by_text("operator").wait_for()
    assert shown not in await page.content()


async def test_what_is_refused_while_the_first_key_is_made_takes_nothing_away(maker: Visitor, keyless: Shop) -> None:
    refused = asyncio.Event()
    maker.page.on("response", lambda response: refused.set() if is_refused(response) else None)

    async def after_a_refusal(route: Route) -> None:
        if route.request.method == "POST":
            await refused.wait()
        await route.continue_()

    await maker.page.route("**/v1/session", after_a_refusal)

    page = await make_a_key(maker, "root")

    await maker.sees("not shown again")
    await maker.agrees("Done")
    await page.get_by_role("row", name="root").wait_for()


async def test_who_comes_too_late_for_the_first_key_is_asked_for_one(maker: Visitor, keyless: Shop) -> None:
    maker.expected.append("401")
    page = await maker.open("/console/keys")
    await maker.role("button", "Make a key").click()
    await page.get_by_label("Name").fill("late")

    async def after_another(route: Route) -> None:
        await keyless.request("POST", "/v1/keys", {"name": "early", "operator": True}, key=None)
        await route.continue_()

    await page.route("**/v1/keys", after_another)
    await maker.agrees("Make the key")

    await page.get_by_role("heading", name="Sign in").wait_for()
    assert await page.get_by_role("dialog").count() == 0
