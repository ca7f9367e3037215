"""The whole story: a message of the playground, a receiver that is down, why, and all of it sent again."""

from browsing import Visitor
from storefront import Shop

from answerback.testing import behaviours


async def test_a_message_of_the_playground_comes_back_to_its_inbox(visitor: Visitor) -> None:
    page = await visitor.open("/console/playground?by=webhook")
    await page.get_by_label("Message", exact=True).fill("Do you ship to Norway?")
    await page.get_by_label("Message", exact=True).press("Enter")

    came = page.get_by_role("region", name="Messages").locator(".bubble.assistant")
    await came.get_by_text("Yes, in three to five days.").first.wait_for()
    await came.get_by_text("Signature verified").wait_for()
    await came.get_by_text("Headers and body").click()
    shown = await came.locator("pre").inner_text()
    assert "webhook-signature: v1," in shown
    assert '"status": "completed"' in shown
    assert await visitor.faults() == []

    await visitor.role("link", "Timeline").click()

    await visitor.sees("Attempt 1: HTTP 2")


async def test_a_receiver_that_was_down_gets_all_it_is_owed(visitor: Visitor, running: Shop) -> None:
    down = running.receiver.url("/till")
    running.receiver.on("/till", behaviours.gone())
    page = await visitor.open("/console/playground?by=webhook")
    await page.get_by_label("Callback URL").fill(down)
    for text in ("Where is my parcel 1742?", "Is the kettle BPA-free?"):
        await page.get_by_label("Message", exact=True).fill(text)
        await page.get_by_label("Message", exact=True).press("Enter")
        await page.locator(".bubble.user", has_text=text).get_by_text("Dead").wait_for()

    await page.locator(".bubble.user").first.get_by_role("link", name="Timeline").click()
    await visitor.sees("Attempt 1: HTTP 410")
    await visitor.role("link", "Receivers").click()
    row = page.get_by_role("row", name=down.rpartition("/")[0])
    await row.get_by_text("2", exact=True).wait_for()
    assert await visitor.faults() == []

    running.receiver.on("/till", behaviours.status(200))
    await row.get_by_role("button", name="Resend").click()
    await visitor.sees("2 callbacks will be sent again.")
    await visitor.agrees("Resend them")

    await visitor.sees("2 callbacks sent again")
    await running.receiver.wait_for(lambda came: sum(each.path == "/till" for each in came) >= 4, 20)
    await row.get_by_text("2", exact=True).wait_for(state="detached")
