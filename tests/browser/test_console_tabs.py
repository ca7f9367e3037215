"""Tabs of one browser: all are live, and once their key is gone all ask for one and show nothing of what it opened."""

from browsing import Browser, Visitor
from playwright.async_api import Page
from storefront import Shop


async def is_empty(page: Page, private: str) -> bool:
    await page.get_by_role("heading", name="Sign in").wait_for()
    return private not in await page.content() and await page.get_by_role("dialog").count() == 0


async def other_tab(visitor: Visitor, path: str) -> Page:
    """A tab of the same browser."""
    page = await visitor.context.new_page()
    await page.goto(visitor.url + path)
    return page


async def test_signing_out_in_one_tab_empties_the_others(visitor: Visitor, running: Shop) -> None:
    visitor.expected.append("401")
    await running.say("hello", key=visitor.key, session_id="secret-session")
    page = await visitor.open("/console/conversation?session=secret-session")
    await visitor.role("button", "Erase").click()
    other = await other_tab(visitor, "/console/jobs?session_id=secret-session")
    await other.get_by_role("link", name="secret-session").or_(other.get_by_text("secret-session")).first.wait_for()

    await other.get_by_role("button", name="Sign out").click()

    assert await is_empty(page, "secret-session")
    assert await is_empty(other, "secret-session")
    assert page.url == other.url == f"{visitor.url}/console"


async def test_a_revoked_key_empties_pages_that_ask_for_nothing(browser: Browser, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "leaver"}, running.operator)
    await running.say("hello", key=made["key"], session_id="secret-session")
    async with browser.visit(running.service.url, made["key"]) as visitor:
        visitor.expected.append("401")
        page = await visitor.open("/console")
        await visitor.sees("secret-session")
        await page.get_by_text("Live", exact=True).wait_for()

        await running.request("DELETE", f"/v1/keys/{made['id']}", key=running.operator)

        assert await is_empty(page, "secret-session")


async def test_who_signs_in_with_another_key_sees_its_objects_in_every_tab(browser: Browser, running: Shop) -> None:
    one, other = await running.new_key("first-owner"), await running.new_key("second-owner")
    async with browser.visit(running.service.url, one) as visitor:
        visitor.expected.append("401")
        page = await visitor.open("/console/jobs")
        await visitor.sees("first-owner")
        await visitor.context.clear_cookies()
        second = await other_tab(visitor, "/console")
        await second.get_by_label("Key").fill(other)

        await second.keyboard.press("Enter")

        await visitor.sees("second-owner")
        assert "first-owner" not in await page.content()


async def test_more_windows_are_live_than_a_browser_opens_connections(visitor: Visitor, running: Shop) -> None:
    pages = [await visitor.open("/console")]
    while len(pages) < 8:
        pages.append(await other_tab(visitor, "/console"))
    for page in pages:
        await page.get_by_text("Live", exact=True).wait_for()
        assert not await page.evaluate("document.hidden")

    job = await running.say("Do you ship to Norway?", key=visitor.key)

    for page in pages:
        await page.locator(f"tr[data-key='{job}']").wait_for()


async def test_windows_stay_live_as_others_are_closed(visitor: Visitor, running: Shop) -> None:
    first = await visitor.open("/console")
    second, third = [await other_tab(visitor, "/console") for _ in range(2)]
    for page in (first, second, third):
        await page.get_by_text("Live", exact=True).wait_for()

    await first.close()
    await third.goto("about:blank")

    job = await running.say("Do you ship to Norway?", key=visitor.key)
    await second.locator(f"tr[data-key='{job}']").wait_for()
    await third.go_back()
    await third.locator(f"tr[data-key='{job}']").wait_for()


async def test_a_window_without_shared_workers_is_live_too(visitor: Visitor, running: Shop) -> None:
    await visitor.page.add_init_script("delete globalThis.SharedWorker")
    page = await visitor.open("/console")
    await page.get_by_text("Live", exact=True).wait_for()

    job = await running.say("Do you ship to Norway?", key=visitor.key)

    await page.locator(f"tr[data-key='{job}']").wait_for()
