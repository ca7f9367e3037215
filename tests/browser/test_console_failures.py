"""A page that cannot be shown says what happened and what to do next, and leads on."""

import pytest
from browsing import Browser, Visitor
from storefront import Shop

NOBODY = "0" * 32
ALL_TENANTS = "?tenant=*"

A_WHILE_MS = 31_000
"""Longer than pages wait before they read again."""


@pytest.mark.parametrize(
    ("address", "status", "said", "way"),
    [
        ("jobs?status=bogus", "422", "status", "Jobs"),
        (f"jobs?before=job_{NOBODY[1:]}", "422", "before", "Jobs"),
        (f"jobs/job_{NOBODY}", "404", "there is no job", "Jobs"),
        ("jobs/job_1", "404", "there is no job", "Jobs"),
        ("conversation?session=nobody", "404", "nobody", "Conversations"),
        ("conversation", "404", "", "Conversations"),
        (f"responses/resp_{NOBODY}", "404", "not stored, or is deleted", "Responses"),
        ("conversations" + ALL_TENANTS, "403", "only operators", "Conversations"),
        ("receivers" + ALL_TENANTS, "403", "only operators", "Receivers"),
        ("keys", "403", "this is for operators", "Home"),
    ],
)
async def test_what_cannot_be_shown_says_why_and_leads_on(
    visitor: Visitor, address: str, status: str, said: str, way: str
) -> None:
    visitor.expected.append(status)

    page = await visitor.open(f"/console/{address}")

    failure = page.get_by_role("main").get_by_role("alert")
    await failure.get_by_role("heading", level=1).wait_for()
    assert said.lower() in (await failure.inner_text()).lower()
    assert (await failure.get_by_role("heading", level=1).inner_text()) in await page.title()
    assert await visitor.faults() == []
    await failure.get_by_role("link", name=way, exact=True).click()
    await page.get_by_role("heading", level=1, name=way, exact=True).wait_for()
    assert await failure.count() == 0


@pytest.mark.parametrize("address", ["models", "playground", "playground?by=webhook"])
async def test_a_page_needs_no_list_of_models(visitor: Visitor, address: str) -> None:
    visitor.expected.append("503")
    await visitor.page.route("**/v1/models", lambda route: route.fulfill(status=503, json={"error": {"message": "no"}}))

    page = await visitor.open(f"/console/{address}")
    async with page.expect_response("**/v1/models"):
        await page.reload()

    await visitor.role("heading", address.partition("?")[0].capitalize()).wait_for()
    await page.get_by_label("Model").first.fill("any/model")
    assert await page.get_by_role("alert").count() == 0


async def test_what_is_not_the_newest_says_so_until_it_is(browser: Browser, running: Shop) -> None:
    async with browser.visit(running.service.url, await running.new_key()) as visitor:
        visitor.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK"]
        await visitor.page.clock.install()
        page = await visitor.open("/console/models")
        await visitor.sees("Providers")

        await visitor.context.set_offline(offline=True)
        await page.clock.run_for(A_WHILE_MS)
        await page.get_by_role("status").filter(has_text="The service cannot be reached.").wait_for()
        await visitor.role("table", "Providers").wait_for()
        await visitor.context.set_offline(offline=False)
        await page.clock.run_for(A_WHILE_MS)

        await page.get_by_text("The service cannot be reached.").wait_for(state="detached")
