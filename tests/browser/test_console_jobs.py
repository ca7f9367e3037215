"""The list of jobs and its filters."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import Visitor
from playwright.async_api import Route, expect
from storefront import Shop

from answerback.testing import behaviours, replies

SOON_MS = 11_000
"""Much longer than a change takes to be shown, and shorter than what is read again now and then takes."""


async def test_the_list_shows_what_became_of_each_job(owner: Visitor, day: Sequence[str]) -> None:
    page = await owner.open("/console/jobs?tenant=default")

    table = page.get_by_role("table", name="Jobs")
    await owner.sees("customer-55")
    rows = await table.get_by_role("row").all_inner_texts()
    assert len(rows) == 1 + len(day)
    by_conversation = {
        name: row for row in rows for name in ("customer-08", "customer-19", "customer-64") if name in row
    }
    assert "Dead" in by_conversation["customer-08"]
    assert await owner.faults() == []


async def test_filters_stand_in_the_address_and_the_back_button_takes_them_away(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    await owner.sees("customer-42")

    await page.get_by_label("State").select_option("failed")

    await page.wait_for_url("**/console/jobs?tenant=default&status=failed")
    await page.get_by_text("customer-42").first.wait_for(state="detached")
    await owner.sees("context length")
    assert await page.get_by_label("State").input_value() == "failed"

    await page.go_back()

    await owner.sees("customer-42")
    assert await page.get_by_label("State").input_value() == ""


async def test_an_address_with_filters_can_be_opened(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default&delivery=dead&session_id=customer-08")

    await owner.sees("customer-08")
    assert len(await page.get_by_role("table", name="Jobs").get_by_role("row").all()) == 2

    await page.goto(f"{owner.url}/console/jobs?tenant=default&session_id=nobody")

    await owner.sees("No job matches")


async def test_a_failure_is_found_by_its_words(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    await page.get_by_label("Error").fill("CONTEXT LENGTH")
    await page.keyboard.press("Enter")

    await page.wait_for_url("**/console/jobs?tenant=default&error=CONTEXT+LENGTH")
    await page.get_by_text("customer-42").first.wait_for(state="detached")
    await owner.sees("customer-64")
    assert len(await page.get_by_role("table", name="Jobs").get_by_role("row").all()) == 2

    await page.goto(f"{owner.url}/console/jobs?tenant=default&model=openai%2Fgpt-5-mini&since=24")

    await owner.sees("customer-77")
    assert await page.get_by_text("customer-42").count() == 0


async def test_a_filter_is_applied_while_it_is_typed(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    await owner.sees("customer-42")
    steps = await page.evaluate("history.length")
    field = page.get_by_label("Conversation", exact=True)

    await field.press_sequentially("customer-0")
    await owner.sees("No job matches")
    await field.press_sequentially("8")

    await page.wait_for_url("**/console/jobs?tenant=default&session_id=customer-08")
    await page.get_by_role("table", name="Jobs").get_by_text("customer-08").first.wait_for()
    assert await page.evaluate("history.length") == steps + 1
    assert await field.evaluate("each => each === document.activeElement")
    assert await field.input_value() == "customer-08"

    await page.go_back()

    await owner.sees("customer-42")
    assert await field.input_value() == ""


async def test_a_search_that_takes_long_says_how_far_it_got_and_goes_on(visitor: Visitor) -> None:
    reached = "job_01a22a5b78e0" + "0" * 20
    page, empty = visitor.page, {"items": [], "next": reached}
    await page.route("**/v1/jobs?*error=*", lambda route: route.fulfill(json=empty))

    await visitor.open("/console/jobs?error=rare")

    await visitor.sees("None that was accepted in the last")
    assert "2026" in str(await page.locator(".empty time").get_attribute("datetime"))
    await visitor.role("link", "Look further back").click()
    await page.wait_for_url(f"**/console/jobs?error=rare&before={reached}")


async def test_short_pages_of_a_search_are_shown_together(visitor: Visitor, running: Shop) -> None:
    """As where among many jobs few suit: a page has what one request found."""
    jobs = [await running.say("Do you ship to Norway?", key=visitor.key) for _ in range(3)]
    listed = (await running.request("GET", "/v1/jobs", key=visitor.key))["items"]
    later = {listed[0]["job_id"]: listed[1], listed[1]["job_id"]: listed[2]}

    async def one(route: Route) -> None:
        before = parse_qs(urlsplit(route.request.url).query).get("before", [""])[0]
        found = later[before] if before else listed[0]
        await route.fulfill(json={"items": [found], "next": found["job_id"] if found["job_id"] in later else None})

    await visitor.page.route("**/v1/jobs?*error=*", one)

    page = await visitor.open("/console/jobs?error=rare")

    for job in jobs:
        await page.locator(f"tr[data-key='{job}']").wait_for()


async def test_a_choice_of_filters_keeps_the_focus(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    await owner.sees("customer-42")
    state = page.get_by_label("State")

    await state.focus()
    await state.select_option("failed")
    await page.get_by_text("customer-42").first.wait_for(state="detached")

    assert await state.evaluate("each => each === document.activeElement")
    await owner.role("link", "Clear filters").wait_for()


async def test_a_list_with_filters_follows_what_happens(visitor: Visitor, running: Shop) -> None:
    key, text = visitor.key, "Count all kettles that were ever sold."
    running.llm.on(text, replies.hang(running.never))
    first, second, third = [await running.say(text, key=key, session_id="stuck") for _ in range(3)]
    page = await visitor.open("/console/jobs?status=held")
    await page.locator(f"tr[data-key='{second}']").wait_for()

    await running.request("POST", f"/v1/jobs/{second}/cancel", {}, key)

    await page.locator(f"tr[data-key='{second}']").wait_for(state="detached", timeout=SOON_MS)
    await page.locator(f"tr[data-key='{third}']").wait_for()
    assert await page.locator(f"tr[data-key='{first}']").count() == 0
    for job in (third, first):
        await running.request("POST", f"/v1/jobs/{job}/cancel", {}, key)


async def test_many_new_jobs_leave_none_out_of_the_list(visitor: Visitor, running: Shop) -> None:
    await running.say("Do you ship to Norway?", key=visitor.key)
    page = await visitor.open("/console/jobs")
    await page.locator("tbody tr").nth(0).wait_for()

    await asyncio.gather(*(running.say(f"Is kettle {n} quiet?", key=visitor.key, stateless=True) for n in range(40)))

    await page.locator("tbody tr").nth(40).wait_for(timeout=SOON_MS)


async def test_an_operator_sees_the_jobs_of_all_tenants_and_mends_one(owner: Visitor, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "neighbour"}, running.operator)
    job = await running.say("Compare all kettles in a table.", key=made["key"], session_id="at-the-neighbours")
    page = await owner.open("/console/jobs")

    row = page.locator(f"tr[data-key='{job}']")
    await row.get_by_text("neighbour", exact=True).wait_for()
    await row.locator("a.whole").click()
    await owner.role("button", "Cancel").click()
    await owner.agrees("Cancel the job")
    await page.locator(".head .badge").get_by_text("Cancelled").wait_for()
    assert (await running.request("GET", f"/v1/jobs/{job}", key=made["key"]))["status"] == "cancelled"
    await owner.role("button", "Ask again").click()
    await owner.sees("Asked again of")
    await owner.role("button", "Cancel").click()
    await owner.agrees("Cancel the job")

    await page.goto(f"{owner.url}/console/jobs")
    await page.get_by_label("Tenant").select_option("neighbour")
    await page.wait_for_url(f"**/console/jobs?tenant={made['tenant_id']}")
    await row.wait_for()
    await page.get_by_text("customer-42").first.wait_for(state="detached")


async def test_tenants_of_one_name_differ_by_their_ids(owner: Visitor, running: Shop) -> None:
    made = [await running.request("POST", "/v1/keys", {"name": "twin"}, running.operator) for _ in range(2)]

    page = await owner.open("/console/jobs")

    for each in made:
        option = page.get_by_label("Tenant").locator(f"option[value='{each['tenant_id']}']")
        await option.wait_for(state="attached")
        assert await option.inner_text() == f"twin (…{each['tenant_id'][-8:]})"


async def test_a_key_leads_to_the_jobs_that_it_sent(owner: Visitor, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "florist"}, running.operator)
    further = {"name": "florist, again", "tenant": made["tenant_id"]}
    other = await running.request("POST", "/v1/keys", further, running.operator)
    job, theirs = [await running.say("Do you ship to Norway?", key=each["key"]) for each in (made, other)]
    page = await owner.open("/console/keys")
    used = page.get_by_role("row", name="florist").locator("[data-name='Last used'] time")
    await expect(used).to_have_count(2)

    await owner.role("link", "Jobs of florist", exact=True).click()

    await page.locator(f"tr[data-key='{job}'] a.whole").click()
    await page.get_by_role("link", name=made["id"]).wait_for()
    assert await page.locator(f"tr[data-key='{theirs}']").count() == 0


async def test_pages_of_jobs_go_back_in_time(owner: Visitor, running: Shop) -> None:
    key = await running.new_key()
    first = await running.say("The first of many.", key=key)
    for i in range(55):
        await running.say(f"Message {i}", key=key, stateless=True)
    await owner.context.add_cookies([{"name": "answerback_key", "value": key, "url": owner.url}])
    page = await owner.open("/console/jobs")

    await owner.role("link", "Older jobs").click()

    await page.locator(f"a[href='/console/jobs/{first}']").first.wait_for()
    assert "before=job_" in page.url
    await owner.role("link", "Newest jobs").click()
    await owner.role("link", "Older jobs").wait_for()


async def test_the_list_says_what_is_due_and_what_comes_next(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/busy", behaviours.status(503))
    job = await running.say("Is the kettle BPA-free?", key=visitor.key, path="/busy")
    page = await visitor.open("/console/jobs")
    callback = page.locator(f"tr[data-key='{job}'] td", has_text="Pending")
    await callback.locator("time", has_text="in ").wait_for()
    listed = await running.request("GET", "/v1/jobs", key=visitor.key)
    listed["items"][0]["delivery"]["next_attempt_at"] = "2026-01-01T12:00:00.000Z"
    await page.route("**/v1/jobs?*", lambda route: route.fulfill(json=listed))

    await page.goto(f"{visitor.url}/console/jobs?delivery=pending")

    await callback.get_by_text("due", exact=True).wait_for()


async def test_taking_filters_away_leaves_the_tenant(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=default")
    await owner.sees("customer-42")
    assert await page.get_by_role("link", name="Clear filters").is_hidden()

    await page.goto(f"{owner.url}/console/jobs?tenant=default&session_id=nobody")
    await owner.role("link", "Clear filters").click()

    await page.wait_for_url("**/console/jobs?tenant=default")
    await owner.sees("customer-42")
    await page.goto(f"{owner.url}/console/jobs?tenant=default&session_id=nobody")
    await owner.role("link", "Show all jobs").click()
    await page.wait_for_url("**/console/jobs?tenant=default")


async def test_a_link_may_name_the_times_between_which_jobs_were_accepted(visitor: Visitor, running: Shop) -> None:
    job = await running.say("Do you ship to Norway?", key=visitor.key, session_id="in-time")
    accepted = (await running.job(job, key=visitor.key))["created_at"]

    page = await visitor.open(f"/console/jobs?since={accepted}")
    await visitor.sees("in-time")
    assert await page.get_by_label("Accepted", exact=True).input_value() == accepted

    await visitor.open(f"/console/jobs?until={accepted}")
    await visitor.sees("No job matches")
    await page.get_by_label("Accepted before").select_option("Any time")
    await visitor.sees("in-time")


async def test_an_age_is_counted_from_now_and_stands_in_the_address(visitor: Visitor, running: Shop) -> None:
    job = await running.say("Do you ship to Norway?", key=visitor.key)
    page = await visitor.open("/console/jobs")
    await page.get_by_text("More filters").click()

    async with page.expect_request("**/v1/jobs?*since=*") as asked:
        await page.get_by_label("Accepted", exact=True).select_option("Last hour")

    await page.wait_for_url("**/console/jobs?since=1")
    (since,) = parse_qs(urlsplit((await asked.value).url).query)["since"]
    assert timedelta(minutes=50) < datetime.now(UTC) - datetime.fromisoformat(since) < timedelta(minutes=70)
    await page.locator(f"tr[data-key='{job}']").wait_for()


async def test_a_filter_of_a_link_is_shown_as_it_is_whatever_it_is(visitor: Visitor, running: Shop) -> None:
    await running.say("Do you ship to Norway?", key=visitor.key)

    page = await visitor.open("/console/jobs?kind=of-a-later-version")

    await visitor.sees("No job matches")
    assert await page.get_by_label("Kind").input_value() == "of-a-later-version"
    await page.get_by_label("Kind").select_option("Message")
    await page.wait_for_url("**/console/jobs?kind=message")
    await page.locator("tbody tr").wait_for()


@pytest.mark.parametrize("name", ["since", "until"])
async def test_a_time_that_is_none_is_refused(visitor: Visitor, name: str) -> None:
    visitor.expected.append("422")
    await visitor.open(f"/console/jobs?{name}=garbage")

    await visitor.sees(f"{name.capitalize()}: must be a time in RFC 3339")


async def test_a_tenant_that_is_not_there_is_named_and_can_be_left(owner: Visitor) -> None:
    page = await owner.open("/console/jobs?tenant=nope")
    await owner.sees("No jobs of this tenant")
    assert await page.get_by_label("Tenant").input_value() == "nope"

    await owner.role("link", "Show all jobs").click()

    await page.get_by_text("No jobs of this tenant").wait_for(state="detached")
    assert "nope" not in page.url


async def test_taking_filters_away_takes_a_tenant_away_that_is_not_there(owner: Visitor, running: Shop) -> None:
    await running.new_key("another")
    page = await owner.open("/console/jobs?tenant=nope&status=failed")
    await owner.sees("No job matches")
    # Until the names of tenants are read, any may be there.
    await page.get_by_label("Tenant").wait_for()

    await owner.role("link", "Clear filters").click()

    await page.wait_for_url("**/console/jobs")
    await page.get_by_text("No job matches").wait_for(state="detached")
    assert await page.get_by_label("Tenant").locator("option:checked").inner_text() == "All tenants"


@pytest.mark.parametrize("name", ["conversations", "jobs", "receivers", "responses"])
async def test_a_list_does_not_wait_for_the_names_of_tenants(owner: Visitor, running: Shop, name: str) -> None:
    await running.new_key("another")
    shown = asyncio.Event()

    async def late(route: Route) -> None:
        await shown.wait()
        await route.continue_()

    await owner.page.route("**/v1/keys?*", late)
    page = await owner.open(f"/console/{name}")

    await page.get_by_role("main").get_by_role("row").or_(page.locator(".empty")).first.wait_for()
    assert not await page.get_by_label("Tenant").is_visible()
    shown.set()

    await page.get_by_label("Tenant").wait_for()


async def test_tenants_can_be_chosen_however_many_there_are(owner: Visitor, running: Shop) -> None:
    await running.new_key("the-oldest-of-many")
    for n in range(100):
        await running.new_key(f"one-of-many-{n}")

    page = await owner.open("/console/jobs")

    await page.get_by_label("Tenant").select_option(label="the-oldest-of-many")
    await owner.sees("No jobs of this tenant")


async def test_the_first_job_is_heard_as_one(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/jobs")
    await visitor.sees("No jobs yet")

    await running.say("Do you ship to Norway?", key=visitor.key)

    await page.get_by_role("status").filter(has_text="new job").wait_for(state="attached")
    assert await page.get_by_role("status").filter(has_text="new job").inner_text() == "1 new job"
