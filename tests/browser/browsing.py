"""A browser whose pages are watched: what they print, throw, are refused, or ask for is remembered."""

import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, async_playwright

from answerback.testing.backends import BackendUnavailable

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--force-color-profile=srgb"),
)
WAIT_MS = 20_000
"""Far more than anything takes here, so that a busy machine fails no test."""

AXE = "axe.run(document, {resultTypes: ['violations'], selectors: false, preload: false})"
"""Without what only its own reports show, and without loading the styles once more."""

OWN_FILES = re.compile(r"GET /(console.*|favicon\.ico)?")
"""The pages themselves: of all else a client may do the same."""

Routes: TypeAlias = Sequence[re.Pattern[str]]
"""The documented ones, each as `METHOD /path`."""

COOKIE = "answerback_key"
SERIOUS = {"serious", "critical"}


@dataclass(slots=True)
class Visitor:
    """A browser profile with one page. `key` is what it signs in with."""

    page: Page
    context: BrowserContext
    url: str
    key: str | None
    routes: Routes
    troubles: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of the troubles that a test provokes."""

    async def open(self, path: str) -> Page:
        """Shows a page of the console, until it has drawn what it reads first."""
        await self.page.goto(self.url + path)
        await self.page.locator("h1").first.wait_for(timeout=WAIT_MS, state="attached")
        return self.page

    def role(self, role: Any, name: str, *, exact: bool = False) -> Locator:
        return self.page.get_by_role(role, name=name, exact=exact).first

    async def agrees(self, name: str) -> None:
        """Clicks a button of the dialog."""
        await self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()

    async def sees(self, text: str) -> None:
        """Waits for a text."""
        await self.page.get_by_text(text).first.wait_for(timeout=WAIT_MS)

    async def faults(self) -> Sequence[str]:
        """The serious faults that axe-core finds in what the page shows."""
        if not await self.page.evaluate("'axe' in globalThis"):
            await self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found = await self.page.evaluate(AXE)
        return [
            f"{each['id']}: {node['html']}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def check(self) -> None:
        unexpected = [each for each in self.troubles if not any(part in each for part in self.expected)]
        assert not unexpected, unexpected

    def watch(self) -> None:
        """All tabs, and those that are opened later."""
        self.context.on("console", lambda message: self._printed(message))
        self.context.on("weberror", lambda error: self.troubles.append(f"thrown: {error.error}"))
        self.context.on("request", lambda request: self._asked(request))

    def _asked(self, request: Request) -> None:
        """Whatever a page can do, a client can: it uses documented routes only, of its own service only."""
        line = f"{request.method} {urlsplit(request.url).path}"
        is_documented = any(route.fullmatch(line) for route in (OWN_FILES, *self.routes))
        if not (request.url.startswith(f"{self.url}/") and is_documented):
            self.troubles.append(f"not documented: {request.method} {request.url}")

    def _printed(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


@dataclass(slots=True)
class Browser:
    """A running Chromium."""

    chromium: Chromium

    @contextlib.asynccontextmanager
    async def visit(self, url: str, key: str | None = None, **options: Any) -> AsyncIterator[Visitor]:
        """A profile of its own, signed in with the key, if there is one. `options` are Playwright's."""
        chosen: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **options}
        context = await self.chromium.new_context(**chosen)
        try:
            await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
            if key is not None:
                await context.add_cookies([{"name": COOKIE, "value": key, "url": url}])
            context.set_default_timeout(WAIT_MS)
            routes = await _documented(context, url)
            visitor = Visitor(await context.new_page(), context, url, key, routes)
            visitor.watch()
            yield visitor
            visitor.check()
        finally:
            await context.close()


async def _documented(context: BrowserContext, url: str) -> Routes:
    paths: dict[str, dict[str, Any]] = (await (await context.request.get(f"{url}/openapi.json")).json())["paths"]
    return [
        re.compile(f"{method.upper()} " + re.sub(r"\\{[^}]*\\}", "[^/]*", re.escape(path)))
        for path, operations in paths.items()
        for method in operations
    ]


@contextlib.asynccontextmanager
async def started_browser(missing: Callable[[BackendUnavailable], NoReturn]) -> AsyncIterator[Browser]:
    """Debian's Chromium; `missing` says that there is none."""
    path = shutil.which("chromium")
    if path is None:
        missing(BackendUnavailable("no chromium is installed: apt-get install chromium"))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield Browser(chromium)
        finally:
            await chromium.close()
