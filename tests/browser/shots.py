"""`make shots`: pictures of the console for the documentation, of the shop's day, into docs/images."""

import asyncio
import math
import sqlite3
import sys
import time
from pathlib import Path
from typing import NoReturn

from browsing import Browser, Visitor, started_browser
from shop import OPERATOR, Shop, busy_day, shop

from answerback.accounts.model import DEFAULT_TENANT
from answerback.overview.model import ALL_TENANTS
from answerback.testing.backends import BackendUnavailable

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1200, "height": 760}
MOST_BYTES = 150_000
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
            database.executemany("INSERT INTO activity VALUES (?, ?, ?, ?, ?, ?)", [(tenant, *row) for row in rows])
    database.close()


async def shoot(visitor: Visitor, name: str) -> None:
    """Writes a picture of what the page shows. Raises ValueError where it is too large for a repository."""
    await visitor.page.wait_for_load_state("load")
    picture = await visitor.page.screenshot()
    if len(picture) > MOST_BYTES:
        raise ValueError(f"{name} has {len(picture):,} bytes")
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"console-{name}.png").write_bytes(picture)
    print(f"docs/images/console-{name}.png {len(picture):,} bytes")  # noqa: T201


async def pictures(browser: Browser, running: Shop, jobs: list[str]) -> None:
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


async def main() -> None:
    async with started_browser(no_browser) as browser, shop() as running:
        jobs = list(await busy_day(running))
        remember_an_hour(running)
        await pictures(browser, running, jobs)


if __name__ == "__main__":
    asyncio.run(main())
