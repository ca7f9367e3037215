"""`RESULTS.md` and its plots."""

import html
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.peers import PEERS
from bench.plan import Plan
from bench.results import PORTKEY_WHERE_SET, Figure, Results, shown
from bench.tools import HERE

WORKLOADS = {
    "a": "Synchronous chat completions",
    "b": "Streams",
    "c": "Durable accepts",
    "d": "Complete jobs",
    "e": "What a job takes besides the LLM",
    "f": "Many in flight",
    "g": "Growth",
    "h": "Idle memory and start",
    "i": "Several processes",
    "j": "A tenant beside another",
    "k": "Responses beside chat completions",
    "l": "The console",
}
PLOTTED = {
    "sync.svg": ("a", "requests a second, upstream of 0 ms", "Synchronous requests a second, one core"),
    "added.svg": ("a", "added latency", "Added latency, p50, ms"),
    "fleet.svg": ("d", "jobs a second, fleet", "Complete jobs a second, a worker core through Redis"),
    "memory.svg": ("h", "idle memory", "Idle memory, MiB"),
    "start.svg": ("h", "start", "Start, s"),
}
FONT = 'font-family="sans-serif" font-size="14"'
OURS, THEIRS = "#2b6cb0", "#a0aec0"


def write(results: Results, plan: Plan, folder: Path, seconds: float) -> Path:
    """Returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = [
        name for name, (letter, what, title) in PLOTTED.items() if _plot(results, folder / name, letter, what, title)
    ]
    page = folder / "RESULTS.md"
    page.write_text("\n".join(_lines(results, plan, plots, seconds)) + "\n", encoding="utf-8")
    return page


def _lines(results: Results, plan: Plan, plots: Sequence[str], seconds: float) -> Iterable[str]:
    yield "# Results"
    yield ""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    yield f"Measured by `make bench` on {day} in {seconds / 60:.0f} minutes; medians of {rounds} in which"
    yield "the systems took turns. Only figures of one run compare: machines differ, and so do their hours. How it is"
    yield "measured, and what was done about what it showed: [NOTES.md](NOTES.md)."
    yield ""
    yield f"Machine: {_machine()}. Versions: {'; '.join(_versions())}."
    yield ""
    yield from _targets(results)
    for letter, title in WORKLOADS.items():
        figures = [each for each in results.figures if each.workload == letter]
        if figures:
            yield from ("", f"## ({letter}) {title}", "| what | system | median | spread |", "|---|---|---|---|")
            yield from (_row(each) for each in figures)
    if results.absent or results.notes:
        yield from ("", "## Not measured, and notes")
        yield from (f"- {what}: {why}" for what, why in results.absent.items())
        yield from (f"- {note}" for note in results.notes)
    if plots:
        yield from ("", "## Plots", *(f"![{PLOTTED[name][2]}]({name})" for name in plots))


def _targets(results: Results) -> Iterable[str]:
    yield "## Targets"
    yield "A ratio that falls short makes `make bench` fail. Rates and times depend on the machine: their targets"
    yield f"were set where Portkey answered {PORTKEY_WHERE_SET:.0f} chat completions a second."
    if results.pace is not None:
        yield f"Here it answers {shown(results.pace)} times as many: the last columns are the target at that pace."
    yield ""
    yield "| workload | what | measured | target | aim | | at this pace | |"
    yield "|---|---|---|---|---|---|---|---|"
    for each in results.targets:
        sign, unit = "≥" if each.more else "≤", f" {each.unit}".rstrip()
        aim = "" if each.go_for is None else f"{sign} {shown(each.go_for)}{unit}"
        measured, must = f"{shown(each.measured)}{unit}", f"{sign} {shown(each.must)}{unit}"
        row = f"| ({each.workload}) | {each.what} | {measured} | {must} | {aim} | {each.verdict} |"
        if results.pace is None or (here := each.at(results.pace)) is None:
            yield f"{row} | |"
        else:
            yield f"{row} {sign} {shown(here)}{unit} | {'reached' if each.reached_at(results.pace) else 'short'} |"


def _row(figure: Figure) -> str:
    return f"| {figure.what} | {figure.system} | {shown(figure.median)} {figure.unit} | {figure.spread} |"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB, Linux {platform.release()}"


def _versions() -> Iterable[str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    ).stdout.strip()
    yield f"Answerback {commit}"
    yield f"Python {platform.python_version()}"
    for peer in PEERS:
        if version := peer.version():
            yield f"{peer.packages[0].partition('[')[0]} {version}"


def _plot(results: Results, path: Path, letter: str, what: str, title: str) -> bool:
    """Bars, one for each system. Returns whether there is more than one to compare."""
    figures = [each for each in results.figures if each.workload == letter and each.what.startswith(what)]
    if len({each.system for each in figures}) < 2:
        return False
    longest, width, height = max(each.median for each in figures), 640, 40 * len(figures) + 44
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {FONT}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-weight="bold">{html.escape(title)}</text>',
    ]
    for number, each in enumerate(figures):
        top, length = 40 + 40 * number, max(2.0, 400 * max(0.0, each.median) / (longest or 1))
        colour = OURS if each.system == "Answerback" else THEIRS
        lines.append(f'<text x="12" y="{top + 19}">{html.escape(each.system)}</text>')
        lines.append(f'<rect x="130" y="{top}" width="{length:.0f}" height="28" fill="{colour}"/>')
        lines.append(f'<text x="{138 + length:.0f}" y="{top + 19}">{shown(each.median)}</text>')
    path.write_text("\n".join([*lines, "</svg>"]) + "\n", encoding="utf-8")
    return True
