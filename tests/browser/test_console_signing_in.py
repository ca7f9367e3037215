"""Signing in and out, and who sees what."""

import re

import pytest
from browsing import Browser, Visitor
from storefront import Shop

from answerback.testing import behaviours


async def test_a_key_signs_in_and_stays_out_of_the_page_and_the_address(browser: Browser, running: Shop) -> None:
    key = await running.new_key("bakery")
    async with browser.visit(running.service.url) as visitor:
        page = await visitor.open("/console/jobs?status=failed")
        # Who is not signed in yet has done nothing wrong: the browser logs no error before a wrong key is tried.
        visitor.check()
        visitor.expected.append("401")
        assert await visitor.faults() == []

        await page.get_by_label("Key").fill("ab_guessed")
        await page.keyboard.press("Enter")
        await visitor.sees("not valid")
        await page.get_by_label("Key").fill(key)
        await page.keyboard.press("Enter")

        await visitor.role("heading", "Jobs").wait_for()
        assert page.url.endswith("/console/jobs?status=failed")
        await visitor.sees("bakery")
        cookies = {cookie["name"]: cookie for cookie in await visitor.context.cookies()}
        assert cookies["answerback_key"]["httpOnly"]
        assert cookies["answerback_key"]["sameSite"] == "Strict"
        stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert key not in stored

        await page.reload()
        await visitor.role("heading", "Jobs").wait_for()
        await visitor.role("button", "Sign out").click()

        await page.get_by_label("Key").wait_for()
        assert await visitor.context.cookies() == []


async def test_a_key_that_is_revoked_ends_at_the_form(browser: Browser, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "leaver"}, running.operator)
    async with browser.visit(running.service.url, made["key"]) as visitor:
        visitor.expected.append("401")
        page = await visitor.open("/console/jobs")
        await running.request("DELETE", f"/v1/keys/{made['id']}", key=running.operator)

        await page.get_by_label("Key").wait_for()
        await visitor.sees("Your key is not valid any more.")


async def test_tenants_see_their_own_only(browser: Browser, running: Shop, visitor: Visitor) -> None:
    other = await running.new_key("rival")
    assert visitor.key is not None
    mine = await running.say("Mine alone.", key=visitor.key, session_id="secret-session")
    await running.receiver.wait_for(lambda came: any(mine.encode() in each.body for each in came), 20)
    async with browser.visit(running.service.url, other) as rival:
        rival.expected.append("404")

        page = await rival.open("/console/jobs")
        await rival.sees("No jobs yet")
        await page.goto(f"{rival.url}/console/jobs/{mine}")
        await rival.sees("no job")
        assert "Mine alone" not in await page.content()
        assert await page.get_by_role("link", name="Keys").count() == 0

    await visitor.open("/console/jobs")
    await visitor.sees("secret-session")


async def test_no_page_shows_what_is_another_tenants(browser: Browser, running: Shop, visitor: Visitor) -> None:
    running.receiver.on("/mine-alone", behaviours.gone())
    job = await running.say("Mine alone.", key=visitor.key, session_id="mine-alone", path="/mine-alone")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    response = (await running.request("POST", "/v1/responses", {"input": "Mine alone."}, visitor.key))["id"]
    inbox = (await running.request("POST", "/v1/inbox", key=visitor.key))["url"]
    async with running.http.post(inbox, json={"response": "Mine alone."}) as answer:
        assert answer.ok
    async with browser.visit(running.service.url, await running.new_key("rival")) as rival:
        rival.expected += ["404", "403"]
        for path, seen in (
            ("", "No jobs yet"),
            ("/jobs", "No jobs yet"),
            (f"/jobs/{job}", "no job"),
            ("/conversations", "No conversations yet"),
            ("/conversation?session=mine-alone", "no conversation"),
            ("/receivers", "No callbacks yet"),
            ("/playground?by=webhook", "Nothing has come"),
            ("/responses", "No responses yet"),
            (f"/responses/{response}", "no response"),
            ("/keys", "this is for operators"),
        ):
            page = await rival.open(f"/console{path}")
            await page.get_by_text(seen).first.wait_for()
            shown = await page.locator("main").inner_text()
            assert "Mine alone" not in shown, path
            assert "/mine-alone" not in shown, path
        page = await rival.open("/console")
        assert await page.get_by_role("link", name=re.compile("dead")).count() == 0


async def test_a_key_is_made_shown_once_and_revoked(owner: Visitor, running: Shop) -> None:
    page = await owner.open("/console/keys")
    await owner.role("button", "Make a key").click()
    await page.get_by_label("Name").fill("greengrocer")
    await page.get_by_label("Rate limit").fill("1000/hour")
    await page.get_by_label("Weight").fill("3")
    assert await owner.faults() == []

    await owner.agrees("Make the key")

    await owner.sees("not shown again")
    shown = await page.locator("dialog pre").first.inner_text()
    assert (await running.request("GET", "/v1/session", key=shown))["key"]["name"] == "greengrocer"
    await owner.agrees("Copy: Key")
    await page.get_by_role("dialog").get_by_role("status").get_by_text("Copied.").wait_for()
    await owner.agrees("Done")
    await owner.sees("1000/hour")
    await page.get_by_role("row", name="greengrocer").get_by_role("cell", name="3", exact=True).wait_for()
    assert shown not in await page.content()
    assert await owner.faults() == []

    await owner.role("button", "Revoke greengrocer").click()
    await owner.agrees("Revoke the key")

    await page.get_by_role("row", name="greengrocer").get_by_text("revoked").wait_for()


async def test_a_key_gets_another_limit_and_weight(owner: Visitor, running: Shop) -> None:
    await running.new_key("florist", rate_limit="1000/hour")
    page = await owner.open("/console/keys")

    await owner.role("button", "Change florist").click()
    assert await page.get_by_label("Rate limit").input_value() == "1000/hour"
    await page.get_by_label("Rate limit").fill("")
    await page.get_by_label("Weight").fill("5")
    assert await owner.faults() == []
    await owner.agrees("Change the key")

    row = page.get_by_role("row", name="florist")
    await row.get_by_role("cell", name="5", exact=True).wait_for()
    await row.get_by_text("default", exact=True).wait_for()


async def test_a_form_that_is_refused_says_why_and_stays(owner: Visitor) -> None:
    owner.expected.append("422")
    page = await owner.open("/console/keys")
    await owner.role("button", "Make a key").click()
    await page.get_by_label("Name").fill("x")
    await page.get_by_label("Rate limit").fill("many")

    await owner.agrees("Make the key")

    await page.get_by_role("alert").filter(has_text="rate").wait_for()
    assert await page.get_by_label("Rate limit").input_value() == "many"


@pytest.mark.parametrize("mistyped", ["ab_\u0445", "\u201cab_x\u201d", "ab_\u200bx"])
async def test_a_key_of_characters_that_no_key_has_is_not_valid(browser: Browser, running: Shop, mistyped: str) -> None:
    async with browser.visit(running.service.url) as visitor:
        page = await visitor.open("/console")

        await page.get_by_label("Key").fill(mistyped)
        await page.keyboard.press("Enter")

        await visitor.sees("not valid")


async def test_an_operator_who_revokes_the_key_in_use_is_warned_and_signed_out(browser: Browser, running: Shop) -> None:
    key = await running.new_key("in-use", operator=True)
    async with browser.visit(running.service.url, key) as visitor:
        visitor.expected.append("401")
        page = await visitor.open("/console/keys")

        await visitor.role("button", "Revoke in-use").click()
        await visitor.sees("You are signed in with this key")
        await visitor.agrees("Revoke the key")

        await page.get_by_role("heading", name="Sign in").wait_for()


async def test_a_key_may_be_pasted_as_a_header_has_it(browser: Browser, running: Shop) -> None:
    async with browser.visit(running.service.url) as visitor:
        page = await visitor.open("/console")

        await page.get_by_label("Key").fill(f"Bearer {await running.new_key()}")
        await page.keyboard.press("Enter")

        await page.get_by_role("heading", name="Home").wait_for()
