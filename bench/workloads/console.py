"""(l) The console: what twenty open pages take of the service's core, and how soon one is painted over many jobs.

The pages are real ones, in a Chromium on the load's core. While their cost is measured, clients that draw nothing ask
for what the pages asked for.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from answerback.testing.ports import HOST
from bench.measured import Measured
from bench.readers import COOKIE, Readers, Recording, record
from bench.rows import multiply
from bench.stage import Stage
from bench.systems import BEARER, KEY, answerback, message
from bench.tools import BenchError, Load, load

OPERATOR = "operator-of-the-benchmark-0123456789"
READERS = (KEY, OPERATOR)
HOME = ("",) * 10
ALL_KINDS: tuple[str, ...] = (
    *("", "/jobs", "/jobs?status=completed", f"/jobs/job_{1000:032x}", "/conversations", "/receivers"),
    *("/models", "/responses", "/playground", "/playground?by=webhook"),
)
"""Each is open twice, for a tenant and for an operator. The job is one of those that were copied."""
JOBS_PER_SECOND = 500
RECORDED_SECONDS = 32.0
"""Longer than the longest time after which a page reads its list again."""
LEAD_SECONDS, TAIL_SECONDS = 3.0, 1.0
"""Of a load, around the time that is measured."""
PAIRS_A_ROUND = 2
MOST_PERCENT = 1.0
PAINTED_MS = 300.0
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
DRAWN = """new Promise((resolve) => {
  const isDrawn = () => document.querySelector("main tbody tr") !== null;
  const look = () => (isDrawn() ? resolve(performance.now()) : requestAnimationFrame(look));
  look();
})"""


def run(stage: Stage) -> None:
    path = shutil.which("chromium")
    if path is None:
        raise BenchError("no chromium is installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            with _service(stage, Path(folder)) as running:
                stage.warm(running)
            multiply(Path(folder) / "answerback.db", stage.plan.finished[-1])
            with _service(stage, Path(folder)) as running:
                _paint(stage, running, browser)
                for what, paths in (("each page twice", ALL_KINDS), ("Home", HOME)):
                    _cost(stage, running, browser, what, paths)
        finally:
            browser.close()


@contextmanager
def _service(stage: Stage, folder: Path) -> Iterator[Measured]:
    with answerback(stage.upstream, folder=folder, OPERATOR_TOKEN=OPERATOR) as running:
        yield running


def _paint(stage: Stage, running: Measured, browser: Browser) -> None:
    """Of a browser that has none of the console's files."""
    for name, path in (("Home", ""), ("Jobs", "/jobs")):
        painted, drawn = [], []
        for _ in range(PAIRS_A_ROUND * stage.plan.rounds):
            with _page(running, browser, KEY) as page:
                _open(running, page, path)
                drawn.append(float(page.evaluate(DRAWN)))
                painted.append(float(page.evaluate(FIRST_PAINT)))
        jobs = f"over {stage.plan.finished[-1]:,} jobs"
        first = stage.results.add("l", f"first paint of {name} {jobs}", "Answerback", "ms", painted)
        stage.results.add("l", f"until {name} shows its jobs, {jobs}", "Answerback", "ms", drawn)
        stage.results.aim("l", f"first paint of {name} {jobs}", first.median, PAINTED_MS, unit="ms", more=False)


def _cost(stage: Stage, running: Measured, browser: Browser, what: str, paths: tuple[str, ...]) -> None:
    """Pairs of times with and without the pages, which come first in every other pair."""
    recording = _recorded(stage, running, browser, paths)
    asked = Readers.order(recording)
    shares: dict[bool, list[float]] = {True: [], False: []}
    for pair in range(PAIRS_A_ROUND * stage.plan.rounds):
        for is_open in (bool(pair % 2), not pair % 2):
            with Readers(running.port, recording, asked) if is_open else nullcontext():
                shares[is_open].append(_share(stage, running))
    taken = [100 * (with_pages - without) for with_pages, without in zip(shares[True], shares[False], strict=True)]
    rate = f"at {JOBS_PER_SECOND} jobs a second"
    stage.results.add("l", f"of its core {rate}", "Answerback", "%", [100 * each for each in shares[False]])
    figure = stage.results.add("l", f"of its core more for 20 open pages ({what}) {rate}", "Answerback", "%", taken)
    stage.results.aim("l", f"20 open pages ({what}) {rate}", figure.median, MOST_PERCENT, unit="%", more=False)


def _recorded(stage: Stage, running: Measured, browser: Browser, paths: tuple[str, ...]) -> Recording:
    """What these pages, once for each reader, ask for while jobs do not stop."""
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        pages = [(key, stack.enter_context(_page(running, browser, key))) for key in READERS for _ in paths]
        for (_, page), path in zip(pages, paths * len(READERS), strict=True):
            _open(running, page, path)
        posted = pool.submit(_post, stage, running, RECORDED_SECONDS)
        recording = record(pages, RECORDED_SECONDS)
        posted.result()
    return recording


def _share(stage: Stage, running: Measured) -> float:
    """Of its core that the service takes under the load."""
    seconds = 2 * stage.plan.seconds
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(_post, stage, running, LEAD_SECONDS + seconds + TAIL_SECONDS)
        time.sleep(LEAD_SECONDS)
        before, began = running.cpu(), time.monotonic()
        time.sleep(seconds)
        share = (running.cpu() - before) / (time.monotonic() - began)
        if (rate := posted.result().rate) < 0.95 * JOBS_PER_SECOND:
            raise BenchError(f"only {rate:.0f} jobs a second were accepted")
    return share


def _post(stage: Stage, running: Measured, seconds: float) -> Load:
    body = message(stage.upstream)
    return load(running.port, "/webhook", body, seconds=seconds, warm_up=0, rate=JOBS_PER_SECOND, headers=BEARER)


@contextmanager
def _page(running: Measured, browser: Browser, key: str) -> Iterator[Page]:
    context = browser.new_context()
    try:
        context.add_cookies([{"name": COOKIE, "value": key, "url": _url(running)}])
        yield context.new_page()
    finally:
        context.close()


def _open(running: Measured, page: Page, path: str | None) -> None:
    """Shows a page of the console, or none."""
    page.goto("about:blank" if path is None else f"{_url(running)}/console{path}")


def _url(running: Measured) -> str:
    return f"http://{HOST}:{running.port}"
