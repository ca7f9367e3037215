"""What pages ask for while more jobs come than anybody can read: little, whatever they show."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import Browser
from playwright.async_api import Page, Request
from storefront import OPERATOR, Shop

FEED = """
delete globalThis.SharedWorker;
globalThis.EventSource = class extends EventTarget {
  static OPEN = 1;
  static CLOSED = 2;
  readyState = 1;
  constructor() {
    super();
    globalThis.feed = this;
    setTimeout(() => this.onopen());
  }
  close() {
    this.readyState = 2;
  }
};
"""
"""In its place: what it says is the test's."""
SAY = "([name, data]) => feed.dispatchEvent(new MessageEvent(name, { data }))"

EVENTS_APART = 4
"""Seconds, of a busy service."""
OPENING_SECONDS, SECONDS = 12, 60
LISTS = 3
"""How often a list is read in that time, at most: each half minute."""
JOBS = 7
"""How often one job is."""


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        ("/console", 0, 0),
        ("/console?tenant=default", 2, 2 * LISTS),
        ("/console/jobs", 1, LISTS),
        ("/console/jobs?status=completed", 1, LISTS),
        ("/console/jobs/{open}", 1, JOBS),
        ("/console/jobs/{ended}", 0, 0),
        ("/console/conversations?tenant=default", 1, LISTS),
        ("/console/receivers", 2, 2 * LISTS),
        ("/console/models", 1, LISTS),
        ("/console/responses", 1, LISTS),
        ("/console/playground?by=webhook", 1, LISTS),
    ],
)
async def test_a_page_reads_seldom_while_jobs_pour_in(
    browser: Browser, running: Shop, day: Sequence[str], path: str, least: int, most: int
) -> None:
    overview = await running.request("GET", "/v1/overview", key=OPERATOR)
    [some, *_] = (await running.request("GET", "/v1/jobs?limit=1"))["items"]
    # The ninth waits for its LLM.
    shown = path.format(open=day[8], ended=day[0])
    async with browser.visit(running.service.url, OPERATOR) as visitor:
        await visitor.context.clock.install()
        await visitor.context.add_init_script(FEED)
        page = await visitor.open(shown)
        await page.get_by_text("Live", exact=True).wait_for()
        await _pass(page, 0, OPENING_SECONDS, overview, some)
        asked: Counter[str] = Counter()
        page.on("request", lambda request: _count(asked, request))

        await _pass(page, OPENING_SECONDS, OPENING_SECONDS + SECONDS, overview, some)

        assert least <= asked.total() <= most, asked


async def _pass(page: Page, begin: int, end: int, overview: Any, job: Any) -> None:
    """Lets these seconds pass in the page, in which jobs pour in."""
    for second in range(begin, end):
        if second % EVENTS_APART == 0:
            items = [job | {"job_id": f"job_{second:016x}{number:016x}"} for number in range(25)]
            await page.evaluate(SAY, ["overview", json.dumps(overview)])
            await page.evaluate(SAY, ["jobs", json.dumps({"items": items})])
        await page.clock.run_for(1000)


def _count(asked: Counter[str], request: Request) -> None:
    asked[urlsplit(request.url).path] += 1
