"""Home: how the service is, and a first message."""

import asyncio
import re

import pytest
from browsing import Browser, Visitor
from playwright.async_api import Route, expect
from storefront import OPERATOR, Shop, shop

from answerback.testing import replies


async def test_home_shows_how_the_service_is(owner: Visitor) -> None:
    page = await owner.open("/console")

    await owner.sees("Open jobs")
    figures = {text.split("\n")[0]: text for text in await page.locator(".figure").all_inner_texts()}
    assert re.search(r"[1-9]\d* running", figures["Open jobs"])
    assert re.search(r"[1-9]\d* dead", figures["Callbacks owed"])
    await page.get_by_text("Upstream refused").wait_for()
    await page.get_by_role("img", name=re.compile("Answers a minute")).wait_for()
    assert await owner.faults() == []

    await page.get_by_role("link", name=re.compile(r"\d dead")).click()

    await page.wait_for_url("**/console/jobs?delivery=dead")
    await page.get_by_role("table", name="Jobs").get_by_text("Dead", exact=True).first.wait_for()


async def test_home_is_live(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console")
    await visitor.sees("No jobs yet")
    await page.get_by_text("Live", exact=True).wait_for()

    job = await running.say("Do you ship to Norway?", key=visitor.key)

    row = page.locator(f"tr[data-key='{job}']")
    await row.wait_for()
    await row.get_by_text("Delivered").wait_for()


async def test_a_test_message_is_sent_from_home_and_its_tokens_are_counted(visitor: Visitor) -> None:
    page = await visitor.open("/console")
    await page.get_by_role("main").get_by_role("link", name="Send a test message").click()
    await page.wait_for_url("**/console/playground?by=webhook")
    await visitor.role("button", "Send", exact=True).click()
    await visitor.sees("Signature verified")

    await visitor.role("link", "Home").click()

    tokens = page.locator(".figure", has_text="Tokens today")
    await tokens.get_by_text(re.compile(r"[1-9]\d* read, [1-9]\d* written")).wait_for()
    await visitor.sees("Nothing waits in the queue.")


async def test_home_says_how_long_the_oldest_waits_in_the_queue(visitor: Visitor, running: Shop) -> None:
    overview = await running.request("GET", "/v1/overview", key=visitor.key)
    waiting = {**overview, "jobs": {**overview["jobs"], "queued": 1234}, "oldest_queued_seconds": 300}
    visitor.expected.append("net::ERR_")
    await visitor.page.add_init_script("delete globalThis.SharedWorker")
    await visitor.page.route("**/v1/feed*", lambda route: route.abort())
    await visitor.page.route("**/v1/overview*", lambda route: route.fulfill(json=waiting))

    page = await visitor.open("/console")

    figure = page.locator(".figure", has_text="Open jobs")
    await figure.get_by_text("The oldest in the queue has waited 5 min").wait_for()
    assert re.search(r"1,234 queued|1\.2K queued", await figure.inner_text())


async def test_the_chart_follows_and_keeps_the_minute_that_is_read(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console")
    await page.get_by_role("img", name="Answers a minute in the last hour: 0 answers, 0 failed.").wait_for()
    caption = page.locator(".card", has_text="Answers a minute").locator(".card-head .muted")
    minute = page.get_by_role("slider", name="Minute")
    await minute.focus()
    await page.keyboard.press("Home")
    for _ in range(3):
        # The oldest minute goes when the next one begins.
        await page.keyboard.press("ArrowRight")
    assert re.search(r"\d\d.*: 0 answers, 0 failed", await caption.inner_text())

    await running.say("Do you ship to Norway?", key=visitor.key)

    await page.get_by_role("img", name="Answers a minute in the last hour: 1 answer, 0 failed.").wait_for()
    assert re.search(r"\d\d.*: 0 answers, 0 failed", await caption.inner_text())
    await page.keyboard.press("Tab")
    await expect(caption).to_have_text("1 answer, 0 failed in the last hour")


async def test_home_shows_one_tenant_that_an_operator_chooses(owner: Visitor, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "kiosk"}, running.operator)
    page = await owner.open("/console")
    await owner.sees("All tenants together.")

    await page.get_by_label("Tenant").select_option("kiosk")

    await page.wait_for_url(f"**/console?tenant={made['tenant_id']}")
    await owner.sees("No jobs yet")
    job = await running.say("Read this whole catalogue.", key=made["key"])
    await page.locator(f"tr[data-key='{job}']").get_by_text("Delivered").wait_for()
    # Failures are counted a moment late, and this page reads them every ten seconds.
    await page.get_by_role("link", name="Upstream refused").click(timeout=60_000)
    await page.wait_for_url(f"**/console/jobs?*tenant={made['tenant_id']}")
    await page.locator(f"tr[data-key='{job}']").wait_for()


async def test_a_copied_command_has_the_key_that_the_page_does_not_show(browser: Browser, running: Shop) -> None:
    key = await running.new_key()
    async with browser.visit(running.service.url) as visitor:
        page = await visitor.open("/console")
        await page.get_by_label("Key").fill(key)
        await page.keyboard.press("Enter")
        await visitor.sees("Start a receiver")

        assert key not in await page.content()
        await visitor.role("button", "Copy").click()

        copied = await page.evaluate("navigator.clipboard.readText()")
        assert f"Authorization: Bearer {key}" in copied
        assert f"{running.service.url}/webhook" in copied


async def test_a_page_that_was_loaded_again_takes_the_key_for_its_commands(browser: Browser, running: Shop) -> None:
    key, other = await running.new_key(), await running.new_key()
    async with browser.visit(running.service.url, key) as visitor:
        page = await visitor.open("/console/playground")
        await visitor.sees("YOUR_KEY stands for your key")
        await page.get_by_role("tab", name="Python").click()
        await visitor.role("button", "Put it in").click()
        for given, words in ((other, "not the key that you are signed in with"), ("ab_no", "not valid")):
            await page.get_by_label("Key", exact=True).fill(given)
            await visitor.agrees("Put it in")
            await visitor.sees(words)
        assert await visitor.faults() == []
        await page.get_by_label("Key", exact=True).fill(key)
        await visitor.agrees("Put it in")
        await page.get_by_role("dialog").wait_for(state="hidden")

        await visitor.role("button", "Copy").click()

        assert f'api_key="{key}"' in await page.evaluate("navigator.clipboard.readText()")
        assert key not in await page.content()
        assert await page.get_by_text("YOUR_KEY").count() == 0
        await visitor.role("link", "Home").click()
        await visitor.sees("Start a receiver")
        assert await page.get_by_text("YOUR_KEY").count() == 0


async def test_failures_are_counted_as_the_list_behind_their_link_shows_them(visitor: Visitor, running: Shop) -> None:
    text = "Recite every catalogue."
    refusal = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    running.llm.on(text, replies.status(400, refusal))
    await running.say(text, key=visitor.key)
    url, body = f"{running.service.url}/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}
    async with running.http.post(url, json=body, headers={"Authorization": f"Bearer {visitor.key}"}) as response:
        assert response.status == 400

    page = await visitor.open("/console")
    await visitor.sees("1 job, 1 call")
    await visitor.role("link", "Upstream refused").click()

    await page.wait_for_url("**/console/jobs?status=failed&error=upstream_refused&since=24")
    await page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    await visitor.sees("upstream_refused: too long")
    assert await page.locator("tbody tr").count() == 1


@pytest.mark.parametrize("mock", ["true", "false"])
async def test_a_service_without_keys_asks_for_none_and_names_the_mock(browser: Browser, mock: str) -> None:
    settings = {"AUTH_TOKEN": "", "OPERATOR_TOKEN": "", "MOCK_MODE": mock, "MOCK_DELAY_SECONDS": "0"}
    async with shop(**settings) as running, browser.visit(running.service.url) as visitor:
        page = await visitor.open("/")

        await page.wait_for_url("**/console")
        await visitor.sees("a mock answers" if mock == "true" else "No answer yet")
        assert await page.get_by_text("No key of a provider").count() == 0
        assert "Bearer" not in await page.locator(".code").first.inner_text()
        await visitor.role("link", "Keys").wait_for()
        assert await page.get_by_role("button", name="Sign out").count() == 0


async def test_home_says_until_when_a_provider_rests(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        running.llm.on("Too many of us.", replies.status(429, headers={"Retry-After": "600"}))
        await running.say("Too many of us.")
        await visitor.open("/console")

        await visitor.sees("Resting")
        await visitor.sees("Upstream rate limited")


async def test_an_operator_sees_all_tenants_together_before_the_feed_brings_them(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        running.llm.on("Think forever.", replies.hang(running.never))
        job = await running.say("Think forever.", key=await running.new_key())
        visitor.expected.append("net::ERR_")
        await visitor.page.add_init_script("delete globalThis.SharedWorker")
        await visitor.page.route("**/v1/feed*", lambda route: route.abort())

        page = await visitor.open("/console")

        await page.locator(f"tr[data-key='{job}']").wait_for()
        value = page.locator(".figure", has_text="Open jobs").locator(".value")
        await value.get_by_text("1", exact=True).wait_for()


async def test_an_answer_that_comes_late_takes_no_place_of_newer_jobs(visitor: Visitor, running: Shop) -> None:
    late = asyncio.Event()

    async def hold(route: Route) -> None:
        await late.wait()
        await route.fulfill(json={"items": [], "next": None})

    await visitor.page.route("**/v1/jobs?*", hold)
    page = await visitor.open("/console")
    job = await running.say("Do you ship to Norway?", key=visitor.key)
    row = page.locator(f"tr[data-key='{job}']")
    await row.wait_for()

    async with page.expect_response("**/v1/jobs?*") as answered:
        late.set()
    await (await answered.value).finished()
    await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")

    assert await row.is_visible()
