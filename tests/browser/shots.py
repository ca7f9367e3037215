"""`make shots`: pictures of the console for the documentation, of the shop's day, into docs/images."""

import asyncio
import math
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from browsing import Browser, Visitor, started_browser
from storefront import MODELS, OPERATOR, Shop, busy_day, shop

from answerback.accounts.model import DEFAULT_TENANT
from answerback.overview.model import ALL_TENANTS
from answerback.testing.backends import BackendUnavailable

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1200, "height": 760}
MOST_BYTES = 160_000
MINUTES = 60


def no_browser(error: BackendUnavailable) -> NoReturn:
    sys.exit(str(error))


def remember_an_hour(running: Shop) -> None:
    """What an hour's answers leave behind, for the chart: a wave, and some failures."""
    now = int(time.time()) // 60
    rows: list[tuple[int, str, int, int, int]] = []
    for ago in range(1, MINUTES):
        jobs = 34 + round(14 * math.sin(ago / 7) + 6 * math.sin(ago * 2.1))
        rows.append((now - ago, "completed", jobs, jobs * 410, jobs * 96))
        if ago % 11 == 4:
            rows.append((now - ago, "upstream_timeout", 2 + ago % 3, 0, 0))
        if ago % 23 == 9:
            rows.append((now - ago, "upstream_rate_limited", 1, 0, 0))
    with sqlite3.connect(running.service.database) as database:
        for tenant in (ALL_TENANTS, DEFAULT_TENANT):
            database.executemany(
                "INSERT OR REPLACE INTO activity VALUES (?, ?, ?, ?, ?, ?, 0)", [(tenant, *row) for row in rows]
            )
    database.close()


async def shoot(visitor: Visitor, name: str) -> None:
    """Writes a picture of what the page shows. Raises ValueError where it is too large for a repository."""
    await visitor.page.wait_for_load_state("load")
    await visitor.page.evaluate("scrollTo(0, 0)")
    picture = await visitor.page.screenshot()
    if len(picture) > MOST_BYTES:
        raise ValueError(f"{name} has {len(picture):,} bytes")
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"console-{name}.png").write_bytes(picture)
    print(f"docs/images/console-{name}.png {len(picture):,} bytes")  # noqa: T201


async def pictures(browser: Browser, running: Shop, jobs: Sequence[str]) -> None:
    """Each page, as an operator sees it."""
    async with browser.visit(running.service.url, OPERATOR, viewport=SIZE, color_scheme="light") as visitor:
        await visitor.open("/console")
        await visitor.sees("Upstream timeout")
        await shoot(visitor, "home")
        await visitor.open("/console/jobs")
        await visitor.sees("customer-55")
        await shoot(visitor, "jobs")
        await visitor.open(f"/console/jobs/{jobs[3]}")
        await visitor.sees("Attempt 2: HTTP 503")
        await shoot(visitor, "job")
        await visitor.open("/console/conversation?session=customer-42")
        await visitor.sees("Where is my parcel 1742?")
        await shoot(visitor, "conversation")
        await visitor.open("/console/receivers")
        await visitor.sees("dashboard")
        await shoot(visitor, "receivers")
        await visitor.open("/console/responses")
        await visitor.sees("background")
        await shoot(visitor, "responses")
        await visitor.open("/console/keys")
        await visitor.sees("bakery")
        await shoot(visitor, "keys")
        await play(visitor)
        await measure(visitor)


async def play(visitor: Visitor) -> None:
    page = await visitor.open("/console/playground?by=webhook")
    await page.get_by_label("Message", exact=True).fill("Do you ship to Norway?")
    await page.get_by_label("Message", exact=True).press("Enter")
    talk = page.get_by_role("region", name="Messages")
    await talk.get_by_text("Headers and body").click()
    await talk.get_by_text("Delivered").wait_for()
    await shoot(visitor, "playground")


async def measure(visitor: Visitor) -> None:
    page = await visitor.open("/console/models")
    await page.get_by_label("Models", exact=True).fill(", ".join(MODELS[:3]))
    await page.get_by_label("Prompts").fill("Do you ship to Norway?\nIs the kettle BPA-free?")
    await visitor.role("button", "Run").click()
    await page.locator(".measure").first.get_by_text(MODELS[2]).wait_for()
    await visitor.role("button", "Show benchmark").wait_for()
    await shoot(visitor, "models")


async def furnish(running: Shop) -> None:
    """What a day does not leave behind: endpoints, keys, responses."""
    events = ["message.completed", "message.failed"]
    endpoint = {"name": "dashboard", "url": running.receiver.url("/events"), "event_types": events}
    await running.request("POST", "/v1/webhook_endpoints", endpoint)
    for name in ("bakery", "greengrocer", "support-bot"):
        await running.new_key(name, rate_limit="1000/hour")
    for question in ("Do you ship to Norway?", "Is the kettle BPA-free?"):
        await running.request("POST", "/v1/responses", {"input": question, "background": question.startswith("Is")})


async def main() -> None:
    async with started_browser(no_browser) as browser, shop() as running:
        jobs = await busy_day(running)
        await furnish(running)
        remember_an_hour(running)
        await pictures(browser, running, jobs)


if __name__ == "__main__":
    asyncio.run(main())
