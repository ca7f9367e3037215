"""Providers, their routes and benchmarks."""

import asyncio
import re
from pathlib import Path

from browsing import Browser, Visitor
from playwright.async_api import Route, expect
from storefront import KEY, LONGEST_NAME, MODEL, OPERATOR, Shop, shop

from answerback.testing import FakeLLM, replies

OUTSIDE = """
[...document.querySelectorAll(".measure *, .items p, .items bdi")]
  .filter((each) => each.getBoundingClientRect().right > each.closest(".measure, .card").getBoundingClientRect().right)
  .map((each) => each.textContent)
"""
"""The words that do not end within their chart or card."""


async def test_the_providers_and_how_they_are(owner: Visitor, running: Shop) -> None:
    page = await owner.open("/console/models")

    table = page.get_by_role("table", name="Providers")
    await table.get_by_text("127.0.0.1").first.wait_for()
    await table.get_by_text("Reachable").first.wait_for()
    figures = {"Calls": r"[1-9]\d*", "Failed": r"[1-9]\d* \(\d+ %\)", "Median latency": r"\d+(\.\d+)? m?s"}
    for name, form in figures.items():
        await expect(table.locator(f"[data-name='{name}']").first).to_have_text(re.compile(f"^{form}$"))
    assert await owner.faults() == []


async def test_home_and_models_say_the_same_of_a_provider(browser: Browser) -> None:
    settings = {"MAX_RETRIES": "0", "LLM_TIMEOUT_SECONDS": "1"}
    async with shop(**settings) as running, browser.visit(running.service.url, OPERATOR) as visitor:
        running.llm.on("Answer me.", replies.say("Here I am."), replies.status(503), replies.hang(running.never))

        async def ask(status: int) -> None:
            url, body = f"{running.service.url}/api/ask", {"question": "Answer me."}
            async with running.http.post(url, json=body, headers={"Authorization": f"Bearer {KEY}"}) as response:
                assert response.status == status

        async def seen_everywhere(words: str) -> None:
            for path in ("/console/models", "/console"):
                page = await visitor.open(path)
                await page.get_by_text(words, exact=True).wait_for()

        for status in (200, 502, 503):
            await ask(status)
        await seen_everywhere("Reachable")
        await ask(503)
        await seen_everywhere("Not reachable")


async def test_long_names_of_models_stay_within_the_results(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/models")
    await page.get_by_label("Models", exact=True).fill(LONGEST_NAME)
    await page.get_by_label("Runs of each").fill("1")
    await visitor.role("button", "Run").click()
    await page.locator(".measure").last.get_by_text(LONGEST_NAME).wait_for()
    await visitor.role("button", "Show benchmark").wait_for()

    for width in (1280, 390, 320):
        await page.set_viewport_size({"width": width, "height": 844})

        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        assert await page.evaluate(OUTSIDE) == [], width


async def test_a_benchmark_goes_on_while_its_reader_looks_at_another_page(visitor: Visitor, running: Shop) -> None:
    asked, answered = "Which kettle lasts longest?", asyncio.Event()
    running.llm.on(asked, replies.hang(answered))
    page = await visitor.open("/console/models")
    await page.get_by_label("Prompts").fill(asked)
    await page.get_by_label("Runs of each").fill("2")
    await visitor.role("button", "Run").click()
    await visitor.sees(f"Asking {MODEL}")

    await visitor.role("link", "Jobs").click()
    await visitor.sees("No jobs yet")
    answered.set()
    await visitor.role("link", "Models").click()

    await page.locator(".measure", has_text="Latency, p50").get_by_text(MODEL).wait_for()
    await visitor.role("button", "Show benchmark").wait_for()


async def test_models_are_measured_and_compared(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/models")
    await page.get_by_label("Models", exact=True).fill(f"{MODEL}, openai/gpt-5-mini")
    await page.get_by_label("Prompts").fill("Is the kettle BPA-free?\nDo you ship to Norway?")
    await page.get_by_label("Runs of each").fill("2")
    await visitor.role("button", "Run").click()

    result = page.locator(".measure", has_text="Latency, p50")
    await result.get_by_text("openai/gpt-5-mini").wait_for()
    assert await result.get_by_text(MODEL, exact=True).count() == 1
    assert sum(call.user == "Do you ship to Norway?" and call.model == MODEL for call in running.llm.calls) >= 2
    await visitor.role("button", "Show benchmark").wait_for()
    assert await visitor.faults() == []


async def test_a_benchmark_says_how_far_it_is_and_past_ones_are_compared(visitor: Visitor, running: Shop) -> None:
    answered = asyncio.Event()
    running.llm.on("Which kettle is last?", replies.hang(answered))
    page = await visitor.open("/console/models")
    await page.get_by_label("Prompts").fill("Which kettle is first?\nWhich kettle is last?")
    await page.get_by_label("Runs of each").fill("1")
    await visitor.role("button", "Run").click()
    await visitor.sees(f"{MODEL}: 1 of 2 calls")
    bar = page.get_by_label(f"Benchmark of {MODEL}")
    assert await bar.evaluate("bar => [bar.value, bar.max]") == [1, 2]
    answered.set()
    await page.locator(".measure").first.wait_for()
    await page.get_by_label("Models", exact=True).fill("openai/gpt-5-mini")
    await visitor.role("button", "Run").click()
    past = page.get_by_role("button", name="Show benchmark")
    await expect(past).to_have_count(2)

    await page.reload()
    for n in range(2):
        await past.nth(n).click()

    result = page.locator(".measure", has_text="Latency, p50")
    for model in (MODEL, "openai/gpt-5-mini"):
        await result.get_by_text(f"{model}, ").wait_for()
    await past.first.click()
    await result.get_by_text("openai/gpt-5-mini, ").wait_for(state="detached")

    visitor.expected.append("404")
    await page.route("**/v1/benchmarks/*", lambda route: route.fulfill(status=404, json={"detail": "It is gone."}))
    await past.first.click()
    await visitor.sees("It is gone.")


async def test_a_rest_of_one_model_names_it(owner: Visitor) -> None:
    rest = {"model": "openai/gpt-5-mini", "until": "2100-01-01T00:00:00.000Z", "reason": "upstream_rate_limited"}

    async def resting(route: Route) -> None:
        reply = await route.fetch()
        body = await reply.json()
        items = [{**each, "rests": [rest]} for each in body["items"]]
        await route.fulfill(response=reply, json={**body, "items": items})

    await owner.page.route("**/v1/providers", resting)
    page = await owner.open("/console/models")

    row = page.get_by_role("table", name="Providers").get_by_role("row").nth(1)
    await row.get_by_text("Resting").wait_for()
    await row.get_by_text("openai/gpt-5-mini", exact=True).first.wait_for()
    await row.get_by_text("Upstream rate limited").wait_for()


REACHING = """
[...document.querySelectorAll("main td")].filter((cell) => {
  const edge = cell.getBoundingClientRect().right;
  return [...cell.querySelectorAll("*")].some((each) => each.getBoundingClientRect().right > edge + 1);
}).map((cell) => cell.textContent)
"""
"""The cells whose words reach into the next one."""

ROUTES = """
default = "smart"
[providers.local]
base_url = "{local}"
[providers.spare]
base_url = "{spare}"
[routes]
quick = [{{provider = "local", model = "openai/gpt-5-mini"}}]
smart = [{{provider = "spare", model = "large"}}, {{provider = "local", model = "openai/gpt-5-mini"}}]
a-name-that-is-longer-than-most = [{{provider = "spare", model = "{longest}"}}]
"""


async def test_named_routes_say_what_is_asked_in_which_order_and_who_rests(browser: Browser, tmp_path: Path) -> None:
    resting = replies.status(429, headers={"Retry-After": "600"})
    async with FakeLLM(default=resting) as spare, FakeLLM() as local:
        file = tmp_path / "routes.toml"
        file.write_text(ROUTES.format(local=local.base_url, spare=spare.base_url, longest=LONGEST_NAME))
        async with (
            shop(LLM_ROUTES_FILE=str(file), LLM_MODEL="") as running,
            browser.visit(running.service.url, OPERATOR) as visitor,
        ):
            await running.request("POST", "/api/ask", {"question": "Who answers?"})

            page = await visitor.open("/console/models")

            rows = page.get_by_role("table", name="Routes").locator("tbody tr")
            await rows.nth(1).wait_for()
            smart, quick, _ = await rows.all_inner_texts()
            mini = r"\s+openai/gpt-5-mini\s+at local$"
            assert re.match(r"smart\s+default\s+large\s+at spare\s+Resting\s+ends in .*" + mini, smart)
            assert re.match("quick" + mini, quick)
            for width in (1280, 900, 360):
                await page.set_viewport_size({"width": width, "height": 844})
                assert await visitor.faults() == [], width
                assert await page.evaluate(REACHING) == [], width

            page = await visitor.open("/console")
            figure = await page.locator(".figure", has_text="Providers").inner_text()
            spare_rests = r"spare\s+Reachable\s+for .*\s+Resting\s+ends in .*"
            assert re.search(r"2 of 2 reachable\s+Default smart\s+" + spare_rests + r"\s+local\s+Reachable", figure)


async def test_a_tenant_is_shown_no_number_of_calls_of_all_tenants(visitor: Visitor, running: Shop) -> None:
    await running.say("Do you ship to Norway?", key=visitor.key)
    await running.receiver.wait_for(lambda came: len(came) > 0, 20)
    page = await visitor.open("/console/models")

    table = page.get_by_role("table", name="Providers")
    await table.get_by_text("%", exact=False).first.wait_for()
    heads = await table.get_by_role("columnheader").all_inner_texts()
    assert "Calls" not in heads
    await visitor.sees("those of all tenants together")


async def test_a_misspelt_model_is_refused_before_others_are_measured(visitor: Visitor, running: Shop) -> None:
    visitor.expected.append("400")
    prompt = "Which kettle is misspelt?"
    page = await visitor.open("/console/models")
    await page.locator(f"#models option[value='{MODEL}']").wait_for(state="attached")
    await page.get_by_label("Models", exact=True).fill(f"{MODEL}, openai/gpt-5-mimi")
    await page.get_by_label("Prompts").fill(prompt)

    await visitor.role("button", "Run").click()

    await visitor.sees("there is no model 'openai/gpt-5-mimi'")
    assert not [call for call in running.llm.calls if call.user == prompt]


async def test_a_benchmark_that_the_service_leaves_says_that_it_broke_off(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        visitor.expected.append("net::ERR_")
        running.llm.on("Wait for me.", replies.hang(running.never))
        page = await visitor.open("/console/models")
        await page.get_by_label("Prompts").fill("Wait for me.")
        await visitor.role("button", "Run").click()
        await running.llm.wait_for_calls()

        await running.service.kill()

        await page.get_by_role("alert").filter(has_text="The benchmark broke off: the service was away.").wait_for()
