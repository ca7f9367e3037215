"""(l) The console: what twenty open pages take of the service's core, and how soon one is painted over many jobs.

The pages are real ones, in a Chromium on the load's core. While their cost is measured, clients that draw nothing ask
for what the pages asked for: times with them and times without them alternate under one load that does not stop, and
a machine that is busier for a while is so in both.
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
OPENING_SECONDS = 10.0
"""Pages that were opened just now read more."""
RECORDED_SECONDS = 60.0
"""Twice the longest time after which a page reads its list again."""
TURN_SECONDS = 12.0
"""In which the events of the feeds are made several times."""
SETTLING_SECONDS = 1.0
"""Of a turn before it is measured: feeds that are opened are made at once."""
OPENED_SECONDS = 0.5
"""More than it takes to open the feeds of a turn, and to close them."""
PAINTS_A_ROUND = 2
PAIRS_A_ROUND = 8
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
        for _ in range(PAINTS_A_ROUND * stage.plan.rounds):
            with _page(running, browser, KEY) as page:
                _open(running, page, path)
                drawn.append(float(page.evaluate(DRAWN)))
                painted.append(float(page.evaluate(FIRST_PAINT)))
        jobs = f"over {stage.plan.finished[-1]:,} jobs"
        first = stage.results.add("l", f"first paint of {name} {jobs}", "Answerback", "ms", painted)
        stage.results.add("l", f"until {name} shows its jobs, {jobs}", "Answerback", "ms", drawn)
        stage.results.aim("l", f"first paint of {name} {jobs}", first.median, PAINTED_MS, unit="ms", more=False)


def _cost(stage: Stage, running: Measured, browser: Browser, what: str, paths: tuple[str, ...]) -> None:
    """Pairs of turns with and without the pages, which come first in every other pair."""
    recording = _recorded(stage, running, browser, paths)
    asked = Readers.order(recording)
    turns = [is_open for pair in range(PAIRS_A_ROUND * stage.plan.rounds) for is_open in (bool(pair % 2), not pair % 2)]
    seconds = len(turns) * (OPENED_SECONDS + SETTLING_SECONDS + TURN_SECONDS)
    shares: dict[bool, list[float]] = {True: [], False: []}
    with _load(stage, running, seconds):
        for is_open in turns:
            with Readers(running.port, recording, asked) if is_open else nullcontext():
                shares[is_open].append(_share(running))
    taken = [100 * (with_pages - without) for with_pages, without in zip(shares[True], shares[False], strict=True)]
    rate = f"at {JOBS_PER_SECOND} jobs a second"
    stage.results.add("l", f"of its core {rate}", "Answerback", "%", [100 * each for each in shares[False]])
    requests = [len(recording.asked) / recording.seconds]
    stage.results.add("l", f"requests of 20 open pages ({what}) {rate}", "Answerback", "/s", requests)
    figure = stage.results.add("l", f"of its core more for 20 open pages ({what}) {rate}", "Answerback", "%", taken)
    stage.results.aim("l", f"20 open pages ({what}) {rate}", figure.median, MOST_PERCENT, unit="%", more=False)


def _recorded(stage: Stage, running: Measured, browser: Browser, paths: tuple[str, ...]) -> Recording:
    """What these pages, once for each reader, ask for while jobs do not stop."""
    with ExitStack() as stack:
        pages = [(key, stack.enter_context(_page(running, browser, key))) for key in READERS for _ in paths]
        for (_, page), path in zip(pages, paths * len(READERS), strict=True):
            _open(running, page, path)
        # A browser beside the load may slow it down; what the pages do is the same.
        stack.enter_context(_load(stage, running, OPENING_SECONDS + RECORDED_SECONDS, least=0.0))
        pages[0][1].wait_for_timeout(1000 * OPENING_SECONDS)
        return record(pages, RECORDED_SECONDS)


@contextmanager
def _load(stage: Stage, running: Measured, seconds: float, least: float = 0.95 * JOBS_PER_SECOND) -> Iterator[None]:
    """Jobs for so long. Raises BenchError where fewer than `least` a second were accepted."""
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(_post, stage, running, seconds)
        yield
        if (rate := posted.result().rate) < least:
            raise BenchError(f"only {rate:.0f} jobs a second were accepted")


def _share(running: Measured) -> float:
    """Of its core that the service takes in a turn."""
    time.sleep(SETTLING_SECONDS)
    before, began = running.cpu(), time.monotonic()
    time.sleep(TURN_SECONDS)
    return (running.cpu() - before) / (time.monotonic() - began)


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
