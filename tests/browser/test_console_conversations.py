"""Conversations: what was said, what is remembered, what waits, and erasing it."""

from collections.abc import Sequence

import pytest
from browsing import Visitor
from playwright.async_api import expect
from storefront import Shop

from answerback.testing import replies


async def test_a_conversation_is_shown_with_what_waits_in_it(owner: Visitor, day: Sequence[str]) -> None:
    page = await owner.open("/console/conversations")
    await page.get_by_role("row", name="customer-31").locator(".badge", has_text="2").wait_for()
    assert await owner.faults() == []

    await owner.role("link", "customer-31").click()

    waiting = page.locator(".bubble.waiting")
    await waiting.first.wait_for()
    texts = await waiting.all_inner_texts()
    assert "Compare all kettles in a table." in texts[0]
    assert "And without a table?" in texts[1]
    assert "waiting for the answer to no. 1" in texts[1]
    muted = await page.locator("main .muted").first.evaluate("each => getComputedStyle(each).color")
    await expect(waiting.first.locator(".bubble-body")).to_have_css("color", muted)
    assert await owner.faults() == []


async def test_what_waits_says_for_what_and_how_much_more_there_is(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Hold the line.", replies.hang(running.never))
    first = await running.say("Hold the line.", key=visitor.key, session_id="long-line")
    for n in range(21):
        await running.say(f"And number {n}?", key=visitor.key, session_id="long-line")

    page = await visitor.open("/console/conversation?session=long-line")

    await visitor.sees("and 2 more messages behind these")
    waiting = page.locator(".bubble.waiting")
    assert "waiting for the answer to no. 1" in await waiting.nth(1).inner_text()
    assert await waiting.nth(1).get_by_role("link", name="no. 1").get_attribute("href") == f"/console/jobs/{first}"


async def test_what_was_said_is_a_chat_and_can_be_erased(visitor: Visitor, running: Shop) -> None:
    key = visitor.key
    for text in ("Where is my parcel 1742?", "Can it be left with a neighbour?"):
        job = await running.say(text, key=key, session_id="a/b?c")
        await running.receiver.wait_for(lambda came, job=job: any(job.encode() in each.body for each in came), 20)
    page = await visitor.open("/console/conversations")
    await visitor.role("link", "a/b?c").click()

    await visitor.sees("Name the neighbour in the tracking page")
    bubbles = await page.locator(".bubble-body").all_inner_texts()
    assert bubbles[0] == "Where is my parcel 1742?"
    assert len(bubbles) == 4
    assert "session=a%2Fb%3Fc" in page.url

    await visitor.role("button", "Erase").click()
    await visitor.agrees("Erase")

    await page.wait_for_url("**/console/conversations")
    assert (await running.request("GET", "/v1/sessions/a%2Fb%3Fc", key=key))["messages"] == []
    await page.get_by_role("row", name="a/b?c").get_by_text("Erased", exact=True).wait_for()


async def test_a_job_whose_conversation_was_erased_names_no_other_one(visitor: Visitor, running: Shop) -> None:
    key = visitor.key
    await running.say("Do you ship to Norway?", key=key)
    job = await running.say("Where is my parcel 1742?", key=key, session_id="private")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    page = await visitor.open(f"/console/jobs/{job}")
    await page.locator(".facts").get_by_role("link", name="private").wait_for()
    await visitor.role("button", "Resend").wait_for()

    await running.request("DELETE", "/v1/sessions/private", key=key)
    await page.reload()

    await visitor.sees("It was erased with its conversation.")
    await visitor.sees("it cannot be sent again")
    assert await page.locator(".facts a[href*=conversation]").count() == 0
    assert await page.get_by_role("button", name="Resend").count() == 0


async def test_a_conversation_says_which_messages_were_not_answered(visitor: Visitor, running: Shop) -> None:
    job = await running.say("Read this whole catalogue.", key=visitor.key, session_id="unlucky")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)

    page = await visitor.open("/console/conversation?session=unlucky")

    await visitor.sees("No message has been answered")
    await visitor.role("link", "1 message failed").click()
    await page.wait_for_url("**/console/jobs?session_id=unlucky&status=failed")
    await page.locator(f"tr[data-key='{job}']").wait_for()


@pytest.mark.parametrize("name", ["..", " sp ", "a%2F.."], ids=repr)
async def test_a_conversation_of_any_name_is_opened_and_erased(visitor: Visitor, running: Shop, name: str) -> None:
    job = await running.say("Do you ship to Norway?", key=visitor.key, session_id=name)
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    page = await visitor.open("/console/conversations")
    await page.get_by_label("Open a conversation").fill(name)
    await page.keyboard.press("Enter")

    await visitor.sees("in three to five days")
    await visitor.role("button", "Erase").click()
    await visitor.agrees("Erase")

    await page.wait_for_url("**/console/conversations")
    await page.locator("tbody").get_by_role("link").first.click()
    await visitor.sees("What was said was erased.")


async def test_an_operator_stays_with_a_tenant_from_page_to_page(owner: Visitor, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "branch"}, running.operator)
    job = await running.say("Do you ship to Norway?", key=made["key"], session_id="branch-1")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    page = await owner.open(f"/console/conversation?session=branch-1&tenant={made['tenant_id']}")
    await owner.sees("in three to five days")

    await owner.role("button", "Erase").click()
    await owner.agrees("Erase")
    await page.wait_for_url(f"**/console/conversations?tenant={made['tenant_id']}")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Receivers").click()

    await page.wait_for_url(f"**/console/receivers?tenant={made['tenant_id']}")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    await page.wait_for_url(f"**/console/jobs?tenant={made['tenant_id']}")
    await page.locator(f"tr[data-key='{job}']").wait_for()


async def test_an_operator_stays_with_a_tenant_over_pages_that_have_no_choice_of_one(
    owner: Visitor, running: Shop
) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "outlet"}, running.operator)
    response = await running.request("POST", "/v1/responses", {"input": "Do you ship to Norway?"}, made["key"])
    page = await owner.open("/console/jobs")
    await page.get_by_label("Tenant").select_option("outlet")
    await page.wait_for_url(f"**/console/jobs?tenant={made['tenant_id']}")
    pages = page.get_by_role("navigation", name="Pages")

    for name in ("Home", "Playground", "Models", "Keys"):
        await pages.get_by_role("link", name=name).click()
        await page.get_by_role("heading", name=name, exact=True).wait_for()
    await pages.get_by_role("link", name="Responses").click()

    await page.wait_for_url(f"**/console/responses?tenant={made['tenant_id']}")
    await page.get_by_role("link", name=f"Response {response['id']}").click()
    await owner.sees("Answered")
    await pages.get_by_role("link", name="Conversations").click()
    await page.wait_for_url(f"**/console/conversations?tenant={made['tenant_id']}")


@pytest.mark.parametrize("name", ["", "/jobs", "/conversations", "/receivers", "/responses"])
async def test_an_operator_goes_back_to_all_tenants_on_the_same_page(owner: Visitor, running: Shop, name: str) -> None:
    await running.new_key("another")
    page = await owner.open(f"/console{name}?tenant=default")

    await page.get_by_label("Tenant").select_option("All tenants")

    await page.wait_for_url(lambda url: url.endswith((f"/console{name}?tenant=*", f"/console{name}?tenant=%2A")))
    await expect(page.get_by_label("Tenant").locator("option:checked")).to_have_text("All tenants")


async def test_the_beginning_of_the_memory_is_marked(visitor: Visitor, running: Shop) -> None:
    for n in range(12):
        job = await running.say(f"Message {n} of a long talk.", key=visitor.key, session_id="long")
        await running.receiver.wait_for(lambda came, job=job: any(job.encode() in each.body for each in came), 20)

    page = await visitor.open("/console/conversation?session=long")

    await visitor.sees("The next message remembers from here")
    before = await page.locator(".memory").evaluate("each => [...each.parentElement.children].indexOf(each)")
    assert before > 0


async def test_an_operator_sees_the_conversations_of_all_tenants(owner: Visitor, running: Shop) -> None:
    made = await running.request("POST", "/v1/keys", {"name": "lighthouse"}, running.operator)
    job = await running.say("Do you ship to Norway?", key=made["key"], session_id="at-the-lighthouse")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    page = await owner.open("/console/conversations")
    row = page.get_by_role("row", name="at-the-lighthouse")
    await row.get_by_text("of lighthouse").wait_for()
    assert await owner.faults() == []

    await row.get_by_role("link").click()

    await page.wait_for_url(f"**/console/conversation?session=at-the-lighthouse&tenant={made['tenant_id']}")
    await owner.sees("in three to five days")
