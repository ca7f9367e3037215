"""Receivers: how they answer, resending all that match, endpoints and secrets."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

from browsing import Browser, Visitor
from playwright.async_api import Route, expect
from storefront import OPERATOR, Shop, shop

from answerback.testing import behaviours


async def test_all_that_a_receiver_missed_is_sent_again(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/missed", behaviours.gone())
    for text in ("Do you ship to Norway?", "Is the kettle BPA-free?"):
        await running.say(text, key=visitor.key, path="/missed")
    page = await visitor.open("/console/receivers")
    row = page.get_by_role("table", name="Receivers").get_by_role("row").nth(1)
    await row.get_by_text("Failing").wait_for()
    await row.get_by_text("the receiver answered 410").wait_for()
    await row.get_by_text("2", exact=True).wait_for()
    assert await visitor.faults() == []

    running.receiver.on("/missed", behaviours.status(200))
    await row.get_by_role("button", name="Send test").click()
    await visitor.sees("answered 200.")
    await row.get_by_role("button", name="Resend").click()
    await visitor.sees("2 callbacks will be sent again.")
    assert await visitor.faults() == []
    await visitor.agrees("Resend them")

    await visitor.sees("2 callbacks sent again: 2 delivered")
    await row.get_by_text("Healthy").wait_for()
    await row.get_by_text("2", exact=True).wait_for(state="detached")


async def test_what_became_of_those_resent_is_said_of_all_of_them(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/many", behaviours.gone())
    for text in ("Do you ship to Norway?", "Is the kettle BPA-free?"):
        await running.say(text, key=visitor.key, path="/many")

    async def as_of_thousands(route: Route) -> None:
        """Of very many dead callbacks the list counts the newest thousand, before and after."""
        reply = await route.fetch()
        items = [{**each, "dead": 1000} for each in (await reply.json())["items"]]
        await route.fulfill(response=reply, json={"items": items})

    await visitor.page.route("**/v1/receivers", as_of_thousands)
    page = await visitor.open("/console/receivers")
    row = page.get_by_role("table", name="Receivers").get_by_role("row").nth(1)
    await row.get_by_text("1,000+").wait_for()
    running.receiver.on("/many", behaviours.status(200))
    await row.get_by_role("button", name="Resend").click()
    await visitor.sees("2 callbacks will be sent again.")

    await visitor.agrees("Resend them")

    await visitor.sees("2 callbacks sent again: 2 delivered")


async def test_the_signing_secret_is_shown_when_it_is_asked_for(visitor: Visitor, running: Shop) -> None:
    secret = (await running.request("GET", "/v1/signing_secret", key=visitor.key))["secret"]
    page = await visitor.open("/console/receivers")
    await visitor.sees("Signing secret")
    assert secret not in await page.content()

    await visitor.role("button", "Show it").click()
    await page.get_by_text(secret).wait_for()
    await visitor.role("button", "Hide", exact=True).click()
    await visitor.role("button", "Show it").wait_for()
    assert secret not in await page.content()
    await visitor.role("button", "Rotate", exact=True).click()
    await visitor.agrees("Rotate")

    await visitor.sees("signs too, until")
    assert secret not in await page.content()


async def test_what_would_be_resent_is_counted_before(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/lost", behaviours.gone())
    job = await running.say("Is the kettle BPA-free?", key=visitor.key, path="/lost")
    page = await visitor.open(f"/console/jobs/{job}")
    await visitor.sees("Attempt 1: HTTP 410")
    await visitor.role("link", "Receivers").click()
    await visitor.role("button", "Resend all that failed").click()
    await visitor.sees("1 callback will be sent again.")
    await visitor.sees("erased with their conversation cannot be sent again")
    resend = page.get_by_role("dialog").get_by_role("button", name="Resend them")
    await expect(resend).to_be_enabled()

    async with page.expect_request(lambda asked: "since" in (asked.post_data or "")) as counted:
        await page.get_by_label("Owed since").select_option("The last hour")
    since = datetime.fromisoformat((await counted.value).post_data_json["since"])
    assert timedelta(minutes=50) < datetime.now(UTC) - since < timedelta(minutes=70)
    await expect(resend).to_be_enabled()

    await page.get_by_label("URL begins with").fill("https://elsewhere.example/")
    await expect(resend).to_be_disabled()
    await visitor.sees("No callback matches.")
    await expect(resend).to_be_disabled()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")

    assert (await running.job(job, visitor.key))["delivery"]["status"] == "dead"


async def test_resending_begins_with_what_waits_where_nothing_is_dead(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/closed", behaviours.status(503))
    for _ in range(2):
        await running.say("Is the kettle BPA-free?", key=visitor.key, path="/closed", stateless=True)
    page = await visitor.open("/console/receivers")
    row = page.get_by_role("table", name="Receivers").get_by_role("row").nth(1)
    await row.get_by_text("2", exact=True).wait_for()
    await row.locator("[data-name='Last attempt'] time").get_by_text(re.compile("ago|now")).wait_for()
    await row.locator("[data-name='Next attempt'] time").get_by_text("in ").wait_for()

    await visitor.role("button", "Resend all that failed").click()

    await visitor.sees("2 callbacks will be sent again.")
    assert await page.get_by_label("State").input_value() == "pending"


async def test_those_that_follow_what_is_resent_are_counted_beside_it(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/closed", behaviours.status(503))
    for session in ("ada", "ada", "bo", "bo", "bo"):
        await running.say("Is the kettle BPA-free?", key=visitor.key, path="/closed", session_id=session)
    page = await visitor.open("/console/receivers")
    await page.get_by_role("table", name="Receivers").get_by_text("5", exact=True).wait_for()

    await visitor.role("button", "Resend all that failed").click()

    await visitor.sees("2 callbacks will be sent again.")
    await visitor.sees("3 more follow in the order of their conversations.")
    assert await visitor.faults() == []
    # How many follow those of one path is not known.
    following = page.get_by_text("more follow")
    await page.get_by_label("URL begins with").fill(running.receiver.url("/closed"))
    await following.wait_for(state="detached")
    await visitor.sees("2 callbacks will be sent again.")
    await page.get_by_label("URL begins with").fill(running.receiver.url("/"))
    await following.wait_for()
    await page.get_by_label("State").select_option("dead")
    await visitor.sees("No callback matches.")
    await following.wait_for(state="detached")


async def test_of_many_that_follow_what_is_resent_the_least_number_is_named(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/closed", behaviours.status(503))
    await running.say("Is the kettle BPA-free?", key=visitor.key, path="/closed")

    async def as_of_thousands(route: Route) -> None:
        reply = await route.fetch()
        items = [{**each, "held": 1000} for each in (await reply.json())["items"]]
        await route.fulfill(response=reply, json={"items": items})

    await visitor.page.route("**/v1/receivers", as_of_thousands)
    await visitor.open("/console/receivers")
    await visitor.sees("1,001+")

    await visitor.role("button", "Resend all that failed").click()

    await visitor.sees("At least 1,000 more follow in the order of their conversations.")


async def test_an_endpoint_is_made_tested_rotated_and_deleted(visitor: Visitor, running: Shop) -> None:
    url = running.receiver.url("/events")
    page = await visitor.open("/console/receivers")
    await visitor.role("button", "Create an endpoint").click()
    await page.get_by_label("Name").fill("dashboard")
    await page.get_by_label("URL", exact=True).fill(url)
    await page.get_by_label("message.completed").check()
    assert await visitor.faults() == []
    await visitor.agrees("Create")
    await visitor.sees("not shown again")
    assert (await page.locator("dialog pre").inner_text()).startswith("whsec_")
    await visitor.agrees("Done")

    await visitor.role("button", "Send test: dashboard").click()
    await visitor.agrees("Send")
    await visitor.sees("dashboard answered 200.")
    await visitor.role("button", "Rotate secret: dashboard").click()
    await visitor.agrees("Rotate")
    await visitor.sees("not shown again")
    await visitor.agrees("Done")
    await visitor.role("button", "Delete: dashboard").click()
    await visitor.agrees("Delete")

    await visitor.sees("No endpoints")


async def test_a_path_that_fails_is_named_beside_one_that_is_taken(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/crm-of-one", behaviours.gone())
    await running.say("Do you ship to Norway?", key=visitor.key, path="/crm-of-one")
    await visitor.open("/console/receivers")
    await visitor.sees("Failing")
    await visitor.sees("the receiver answered 410: /crm-of-one")

    await running.say("Do you ship to Norway?", key=visitor.key, path="/taken")

    await visitor.sees("Partly failing")
    await visitor.sees("the receiver answered 410: /crm-of-one")
    assert await visitor.faults() == []


async def test_an_endpoint_shows_how_its_server_is(visitor: Visitor, running: Shop) -> None:
    for path in ("/events-lost", "/lost"):
        running.receiver.on(path, behaviours.gone())
    endpoint = {"name": "log", "url": running.receiver.url("/events-lost"), "event_types": ["message.completed"]}
    await running.request("POST", "/v1/webhook_endpoints", endpoint, visitor.key)
    page = await visitor.open("/console/receivers")
    item = page.get_by_role("listitem").filter(has_text="log")
    await item.get_by_text("Not called yet").wait_for()

    await running.say("Is the kettle BPA-free?", key=visitor.key, path="/lost")

    await item.get_by_text("Failing").wait_for()
    await item.get_by_text("the receiver answered 410").wait_for()


async def test_an_endpoint_shows_what_waits_for_its_server(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/busy", behaviours.status(503))
    endpoint = {"name": "log", "url": running.receiver.url("/events"), "event_types": ["message.failed"]}
    await running.request("POST", "/v1/webhook_endpoints", endpoint, visitor.key)
    page = await visitor.open("/console/receivers")

    await running.say("Is the kettle BPA-free?", key=visitor.key, path="/busy")

    item = page.get_by_role("listitem").filter(has_text="log")
    await item.get_by_text("1 callback for its server waits, next attempt in").wait_for()


async def test_an_endpoint_names_the_other_path_of_its_server_that_fails(visitor: Visitor, running: Shop) -> None:
    running.receiver.on("/crm-of-two", behaviours.gone())
    endpoint = {"name": "log", "url": running.receiver.url("/events-of-two"), "event_types": ["message.completed"]}
    await running.request("POST", "/v1/webhook_endpoints", endpoint, visitor.key)

    await running.say("Is the kettle BPA-free?", key=visitor.key, path="/crm-of-two")

    page = await visitor.open("/console/receivers")
    item = page.get_by_role("listitem").filter(has_text="log")
    await item.get_by_text("Partly failing").wait_for()
    await item.get_by_text("the receiver answered 410: /crm-of-two").wait_for()


async def test_callbacks_that_are_being_sent_are_counted(visitor: Visitor, running: Shop) -> None:
    answered = asyncio.Event()
    running.receiver.on("/slow", behaviours.delayed(answered))
    message = {"key": visitor.key, "path": "/slow", "stateless": True}
    jobs = [await running.say("Do you ship to Norway?", **message) for _ in range(2)]
    page = await visitor.open("/console/receivers")
    await visitor.sees("2 being sent")

    await visitor.open("/console")
    await visitor.role("link", "2 being sent").click()

    await page.wait_for_url("**/console/jobs?delivery=sending")
    for job in jobs:
        await page.locator(f"tr[data-key='{job}']").get_by_text("Sending").wait_for()
    answered.set()


FROZEN = "const start = Date.now(); Date.now = () => start;"
"""Nothing is read again because time passes."""


async def test_receivers_follow_what_jobs_do(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/receivers")
    await visitor.sees("No callbacks yet")
    await expect(visitor.role("button", "Resend all that failed")).to_be_disabled()
    running.receiver.on("/lost-later", behaviours.gone())

    await running.say("Is the kettle BPA-free?", key=visitor.key, path="/lost-later")

    row = page.get_by_role("table", name="Receivers").get_by_role("row").nth(1)
    await row.get_by_text("Failing").wait_for()
    await expect(visitor.role("button", "Resend all that failed")).to_be_enabled()


async def test_endpoints_are_read_again_when_the_page_is_looked_at_again(visitor: Visitor, running: Shop) -> None:
    await visitor.page.add_init_script(FROZEN)
    page = await visitor.open("/console/receivers")
    await visitor.sees("No endpoints")
    endpoint = {"name": "log", "url": running.receiver.url("/events"), "event_types": ["message.completed"]}
    made = await running.request("POST", "/v1/webhook_endpoints", endpoint, visitor.key)

    await page.evaluate("dispatchEvent(new Event('focus'))")

    await visitor.role("button", "Delete: log").wait_for()
    await running.request("DELETE", f"/v1/webhook_endpoints/{made['id']}", key=visitor.key)
    await page.evaluate("dispatchEvent(new Event('focus'))")
    await visitor.sees("No endpoints")


async def test_an_operator_who_sees_nothing_is_sent_to_other_tenants(owner: Visitor, running: Shop) -> None:
    await running.new_key("another")
    await owner.page.route("**/v1/receivers*", lambda route: route.fulfill(json={"items": []}))
    page = await owner.open("/console/receivers?tenant=default")

    await owner.sees("No callbacks yet")
    await owner.sees("Only one tenant is shown here: choose another above.")
    await page.get_by_label("Tenant").wait_for()


async def test_an_operator_sees_the_receivers_of_all_tenants_and_resends_for_one(owner: Visitor, running: Shop) -> None:
    key = await running.new_key("kiosk-by-the-sea")
    running.receiver.on("/closed-kiosk", behaviours.gone())
    job = await running.say("Is the kettle BPA-free?", key=key, path="/closed-kiosk")
    page = await owner.open("/console/receivers")
    row = page.get_by_role("row").filter(has_text="of kiosk-by-the-sea")
    await row.get_by_text("the receiver answered 410").wait_for()
    await owner.role("button", "Create an endpoint").wait_for()
    assert await owner.faults() == []

    running.receiver.on("/closed-kiosk", behaviours.status(200))
    await row.get_by_role("button", name="Send test").click()
    await owner.sees("answered 200.")
    await row.get_by_role("button", name="Resend").click()
    await owner.sees("1 callback will be sent again.")
    await owner.agrees("Resend them")

    await owner.sees("1 callback sent again: 1 delivered")
    assert (await running.job(job, key))["delivery"]["status"] == "delivered"


async def test_an_operator_resends_all_that_failed_whosever_it_is(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as owner:
        running.receiver.on("/closed", behaviours.gone())
        keys = {name: await running.new_key(name) for name in ("kiosk", "lighthouse")}
        jobs = {name: await running.say("Is the kettle BPA-free?", key=keys[name], path="/closed") for name in keys}
        page = await owner.open("/console/receivers")
        await page.get_by_role("row").filter(has_text="of kiosk").get_by_text("answered 410").wait_for()
        await page.get_by_role("row").filter(has_text="of lighthouse").get_by_text("answered 410").wait_for()
        running.receiver.on("/closed", behaviours.status(200))

        await owner.role("button", "Resend all that failed").click()
        await owner.sees("2 callbacks will be sent again.")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Tenant").select_option("kiosk")
        await owner.sees("1 callback will be sent again.")
        assert await owner.faults() == []
        await dialog.get_by_label("Tenant").select_option("All 2 that are owed callbacks")
        await owner.sees("2 callbacks will be sent again.")
        await owner.agrees("Resend them")

        await owner.sees("2 callbacks sent again: 2 delivered")
        for name, job in jobs.items():
            assert (await running.job(job, keys[name]))["delivery"]["status"] == "delivered"


async def test_nothing_is_resent_of_a_list_that_is_still_read(visitor: Visitor, running: Shop) -> None:
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await visitor.page.route("**/v1/receivers", late)
    page = await visitor.open("/console/receivers")

    await expect(visitor.role("button", "Resend all that failed")).to_be_disabled()
    await page.locator("main[aria-busy='true']").wait_for()
    assert await page.locator(".card:visible").count() == 0
    come.set()
    await visitor.sees("No callbacks yet")
    await page.locator("main:not([aria-busy])").wait_for()


async def test_an_operator_of_too_many_tenants_sees_the_own_receivers(owner: Visitor, running: Shop) -> None:
    await running.new_key("Another shop")
    owner.expected.append("422")
    refusal = {"detail": "tenant: must be the id of one", "error": {"code": "validation_error", "message": "tenant"}}
    await owner.page.route(lambda url: url.endswith("tenant=*"), lambda route: route.fulfill(status=422, json=refusal))

    page = await owner.open("/console/receivers")

    await page.wait_for_url("**/console/receivers?tenant=default")
    await owner.sees("There are too many tenants to show them together: choose one.")
    await page.get_by_role("table", name="Receivers").get_by_role("row").nth(1).wait_for()
    assert await page.get_by_label("Tenant").locator("option:checked").inner_text() == "Your own"
