"""Times are those of the service, also where the clock of the reader is wrong."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from browsing import Browser
from playwright.async_api import expect
from storefront import OPERATOR, Shop

from answerback.testing import behaviours

SECONDS = re.compile(r"^(\d+ s ago|just now|[0-5] min ago|in [1-5]?\d s)$")


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_wrong_clock_changes_no_time(browser: Browser, running: Shop, hours: int) -> None:
    key = await running.new_key()
    running.receiver.on("/away", behaviours.status(503))
    job = await running.say("What time is it?", key=key, path="/away")
    await running.receiver.wait_for(lambda came: any(each.path == "/away" for each in came))
    async with browser.visit(running.service.url, key) as visitor:
        await visitor.page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
        page = await visitor.open("/console/jobs?since=1")

        accepted = page.locator(f"tr[data-key='{job}'] td.when time")
        await expect(accepted).to_have_text(SECONDS)
        await visitor.open(f"/console/jobs/{job}")
        await page.get_by_text(re.compile(r"^Next attempt in \d+ (s|min)$")).wait_for()


async def test_a_clock_that_is_set_right_is_believed(browser: Browser, running: Shop, day: Sequence[str]) -> None:
    async with browser.visit(running.service.url, OPERATOR) as visitor:
        now = datetime.now(UTC)
        await visitor.page.clock.install(time=now + timedelta(hours=1))
        page = await visitor.open("/console/jobs?tenant=default")
        accepted = page.locator(f"tr[data-key='{day[0]}'] td.when time")
        await expect(accepted).to_have_text(SECONDS)

        await page.clock.set_system_time(datetime.now(UTC))
        await visitor.role("link", "Models").click()
        await page.get_by_role("heading", name="Models", exact=True).wait_for()
        await page.go_back()

        await expect(accepted).to_have_text(SECONDS)
