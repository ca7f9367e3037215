"""Keyboard, phone, dark, addresses and time: what every page has to offer."""

import asyncio
from collections.abc import Sequence

from browsing import Browser, Visitor
from playwright.async_api import Page, Route
from storefront import OPERATOR, Shop

from answerback.testing import behaviours

PAGES = (
    "/console",
    "/console/playground",
    "/console/playground?by=webhook",
    "/console/jobs",
    "/console/conversations?tenant=default",
    "/console/conversation?session=customer-31&tenant=default",
    "/console/receivers?tenant=default",
    "/console/models",
    "/console/responses",
    "/console/keys",
)


async def test_pages_have_no_serious_fault_on_a_dark_phone(browser: Browser, running: Shop, day: Sequence[str]) -> None:
    phone = {"viewport": {"width": 320, "height": 844}, "color_scheme": "dark"}
    asked = {"input": "Do you ship to Norway?", "instructions": "Be brief."}
    response = (await running.request("POST", "/v1/responses", asked, OPERATOR))["id"]
    async with browser.visit(running.service.url, OPERATOR, **phone) as visitor:
        for path in (*PAGES, f"/console/jobs/{day[3]}", f"/console/responses/{response}"):
            page = await visitor.open(path)
            await page.locator(".card").first.wait_for()

            assert await visitor.faults() == [], path
            for width in (390, 320):
                await page.set_viewport_size({"width": width, "height": 844})
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        await visitor.role("button", "Menu").click()
        await page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Jobs").click()
        await page.get_by_role("navigation", name="Pages", exact=True).wait_for(state="hidden")
        await visitor.role("heading", "Jobs").wait_for()


STOPS = """
[...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter(
  (each) => each.checkVisibility({visibilityProperty: true}) && !each.disabled && !each.closest("[inert]"),
).length
"""
FOCUSED = """
(() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const whole = at.closest("tr.link, .item") ?? at;
  const ring = [at, whole].some((each) => {
    const {outlineStyle, boxShadow} = getComputedStyle(each);
    return outlineStyle !== "none" || boxShadow !== "none";
  });
  at.dataset.reached = "";
  return {html: at.outerHTML.slice(0, 120), isSeen: ring && at.getBoundingClientRect().width > 0};
})()
"""


async def test_tab_goes_through_each_page_and_is_seen_where_it_is(
    owner: Visitor, running: Shop, day: Sequence[str]
) -> None:
    asked = {"input": "Do you ship to Norway?", "background": True}
    response = (await running.request("POST", "/v1/responses", asked, OPERATOR))["id"]
    for path in (*PAGES, f"/console/jobs/{day[3]}", f"/console/responses/{response}"):
        page = await owner.open(path)
        await page.locator(".card").first.wait_for()
        await page.keyboard.press("Tab")
        steps = 0
        while (focused := await page.evaluate(FOCUSED)) is not None:
            assert focused["isSeen"], (path, focused)
            # Rows may come meanwhile.
            assert (steps := steps + 1) <= 2 * await page.evaluate(STOPS), f"Tab never leaves {path}"
            await page.keyboard.press("Tab")


async def test_a_dialog_keeps_the_focus_and_gives_it_back(owner: Visitor) -> None:
    for path, name in (
        ("/console/keys", "Make a key"),
        ("/console/receivers?tenant=default", "Resend all that failed"),
        ("/console/receivers", "Create an endpoint"),
        ("/console/conversation?session=customer-42&tenant=default", "Erase"),
    ):
        page = await owner.open(path)
        button = owner.role("button", name, exact=True)
        await button.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await dialog.wait_for()
        for _ in range(2 * await dialog.locator("button, input, select, textarea").count()):
            await page.keyboard.press("Tab")
            is_within = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
            assert await page.evaluate(is_within), path

        await page.keyboard.press("Escape")

        await dialog.wait_for(state="hidden")
        assert await button.evaluate("each => each === document.activeElement"), path


async def test_escape_closes_the_menu_of_a_phone_and_gives_the_focus_back(browser: Browser, running: Shop) -> None:
    phone = {"viewport": {"width": 390, "height": 844}}
    async with browser.visit(running.service.url, OPERATOR, **phone) as visitor:
        page = await visitor.open("/console/playground")
        menu, pages = visitor.role("button", "Menu"), page.get_by_role("navigation", name="Pages", exact=True)
        await menu.focus()
        await page.keyboard.press("Enter")
        await pages.wait_for()
        await page.keyboard.press("Tab")

        await page.keyboard.press("Escape")

        await pages.wait_for(state="hidden")
        assert await menu.evaluate("each => each === document.activeElement")
        assert await menu.get_attribute("aria-expanded") == "false"


async def test_the_keyboard_reaches_a_job(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    await owner.sees("customer-42")

    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the page"
    await page.keyboard.press("Enter")
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.matches('tr a.whole')"):
            break
    await page.keyboard.press("Enter")

    await page.wait_for_url("**/console/jobs/job_*")
    await page.locator("#main:focus").wait_for()


async def test_the_keyboard_goes_on_from_where_it_was(browser: Browser, running: Shop) -> None:
    key = await running.new_key()
    running.receiver.on("/closed", behaviours.gone())
    job = await running.say("Is the kettle BPA-free?", key=key, path="/closed")
    async with browser.visit(running.service.url) as visitor:
        page = await visitor.open(f"/console/jobs/{job}")
        await page.keyboard.type(key)
        await page.keyboard.press("Enter")
        await page.locator("#main:focus").wait_for()
        await visitor.sees("Attempt 1: HTTP 410")
        running.receiver.on("/closed", behaviours.status(200))
        await visitor.role("button", "Resend").focus()

        await page.keyboard.press("Enter")
        await page.get_by_text("Delivered", exact=True).wait_for()

        # While it is being sent there is no such button.
        assert await page.evaluate("document.activeElement.matches('button, #main')")


async def test_times_are_of_the_readers_zone_and_exact_in_the_title(browser: Browser, running: Shop) -> None:
    key = await running.new_key()
    job = await running.say("What time is it?", key=key)
    async with browser.visit(running.service.url, key, timezone_id="Asia/Tokyo", locale="en-GB") as visitor:
        page = await visitor.open("/console/jobs")

        shown = page.locator(f"tr[data-key='{job}'] time").first
        await shown.wait_for()
        assert "GMT+9" in str(await shown.get_attribute("title")) or "JST" in str(await shown.get_attribute("title"))
        assert str(await shown.get_attribute("datetime")).endswith("Z")
        assert "ago" in await shown.inner_text() or "now" in await shown.inner_text()


CLOCK = """async (at) => {
  const {words} = await import("/console/assets/any/js/time.js");
  return words(at, "clock", Date.parse("2026-12-01T20:00:00Z"));
}"""


async def test_a_time_of_another_day_has_its_day(browser: Browser, running: Shop) -> None:
    """20:00 of that UTC day is the next morning in Tokyo."""
    async with browser.visit(running.service.url, timezone_id="Asia/Tokyo", locale="en-GB") as visitor:
        page = await visitor.open("/console")

        assert await page.evaluate(CLOCK, "2026-12-01T15:30:01Z") == "00:30:01"
        assert await page.evaluate(CLOCK, "2026-12-01T14:30:01Z") == "1 Dec, 23:30:01"


async def test_an_address_that_is_no_page_says_so(visitor: Visitor) -> None:
    await visitor.open("/console/spend/unknown")

    await visitor.sees("There is no such page")


async def test_a_service_that_is_gone_is_named_and_asked_again(browser: Browser, running: Shop) -> None:
    async with browser.visit(running.service.url, await running.new_key()) as visitor:
        visitor.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK"]
        await visitor.open("/console/jobs")
        await visitor.sees("No jobs yet")
        await visitor.role("link", "Responses").click()
        await visitor.sees("No responses yet")
        await visitor.context.set_offline(offline=True)

        await visitor.role("link", "Jobs").click()
        await visitor.sees("cannot be reached")
        await visitor.context.set_offline(offline=False)
        await visitor.role("button", "Try again").click()

        await visitor.sees("No jobs yet")


async def test_who_comes_back_is_where_they_were(browser: Browser, running: Shop, day: Sequence[str]) -> None:
    low = {"viewport": {"width": 1280, "height": 400}}
    async with browser.visit(running.service.url, OPERATOR, **low) as visitor:
        page = await visitor.open("/console/jobs?tenant=default")
        link = page.locator(f"tr[data-key='{day[0]}'] a.whole")
        await link.scroll_into_view_if_needed()
        await link.focus()
        await page.wait_for_function("scrollY > 100")
        top = await page.evaluate("scrollY")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Timeline").wait_for()
        assert await page.evaluate("scrollY") == 0

        await page.go_back()

        await page.locator(f"tr[data-key='{day[0]}'] a.whole:focus").wait_for()
        assert await page.evaluate("scrollY") == top
        await page.reload()
        await link.wait_for()
        await until_scrolled(page, top)


async def test_who_scrolls_while_a_page_is_drawn_stays_where_they_are(browser: Browser, running: Shop) -> None:
    low = {"viewport": {"width": 390, "height": 200}}
    key = await running.new_key()
    await running.say("Do you ship to Norway?", key=key)
    async with browser.visit(running.service.url, key, **low) as visitor:
        held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
        await visitor.page.route("**/v1/webhook_endpoints*", lambda route: held.set_result(route))
        await visitor.page.goto(f"{running.service.url}/console/receivers")
        page, route = visitor.page, await held
        await page.get_by_role("row", name="127.0.0.1").wait_for()
        await page.mouse.move(100, 100)

        await page.mouse.wheel(0, 60)
        await until_scrolled(page, 60)
        await route.continue_()

        await page.get_by_role("heading", name="Signing secret").wait_for()
        await page.locator("main:not([aria-busy])").wait_for()
        assert await page.evaluate("scrollY") == 60


async def until_scrolled(page: Page, top: int) -> None:
    reached = """(top) => new Promise((resolve) => {
      const look = () => (scrollY === top ? resolve() : requestAnimationFrame(look));
      look();
    })"""
    await page.evaluate(reached, top)


async def test_a_row_that_is_a_link_has_parts_of_its_own(visitor: Visitor, running: Shop) -> None:
    job = await running.say("Do you ship to Norway?", key=visitor.key, session_id="customer-42")
    page = await visitor.open("/console/jobs")
    row = page.locator(f"tr[data-key='{job}']")
    await row.wait_for()

    await row.get_by_role("button", name="Copy the id").click(timeout=5_000)

    await visitor.sees("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == job
    for each in await row.locator("[title]").all():
        under = "e => { const {x, y, width, height} = e.getBoundingClientRect();"
        under += " return e.contains(document.elementFromPoint(x + width / 2, y + height / 2)); }"
        assert await each.evaluate(under), await each.evaluate("e => e.outerHTML")
    async with visitor.context.expect_page() as opened:
        await row.locator("time").first.click(modifiers=["Control"])
    await (await opened.value).get_by_role("heading", name="Timeline").wait_for()
    await row.locator("time").first.click()
    await page.wait_for_url(f"**/console/jobs/{job}")


async def test_a_long_name_hides_no_button_and_widens_no_page(browser: Browser, running: Shop) -> None:
    """At 1280 pixels, and zoomed to 200 % of that."""
    name = "n" * 64
    await running.new_key(name)
    async with browser.visit(running.service.url, OPERATOR) as visitor:
        for path in ("/console/keys", "/console/receivers"):
            page = await visitor.open(path)
            await page.locator(".card").first.wait_for()
            for width in (1280, 640):
                await page.set_viewport_size({"width": width, "height": 860})
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        await page.set_viewport_size({"width": 1280, "height": 860})
        await page.get_by_label("Tenant").wait_for()
        assert (await page.locator(".head .lead").bounding_box() or {})["width"] > 400
        assert (await page.locator(".head label").bounding_box() or {})["width"] < 320
        await visitor.open("/console/keys")
        button = visitor.role("button", f"Revoke {name}")
        await button.wait_for()
        box, table = await button.bounding_box(), await page.locator(".scroll").bounding_box()
        assert box
        assert table
        assert box["x"] + box["width"] <= table["x"] + table["width"]


async def test_states_are_explained(owner: Visitor, day: Sequence[str]) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    held = page.locator(f"tr[data-key='{day[9]}'] a.whole")

    assert await held.get_attribute("aria-description") == "waits for an earlier message"
    assert await held.locator(".badge").get_attribute("title") == "waits for an earlier message"
    await page.get_by_label("State").select_option("Held: waits for an earlier message")
    await page.wait_for_url("**status=held**")
    await page.get_by_label("Callback").select_option("Dead: given up; can be resent")
    await owner.open(f"/console/jobs/{day[6]}")
    await owner.sees("Given up: nothing is sent again by itself.")
