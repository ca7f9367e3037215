"""`answerback bench`: models side by side, measured with your prompts against the configured provider."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from answerback.benchmark.chart import Panel, svg
from answerback.benchmark.model import Plan, Report, Run, Spread, read_prompts
from answerback.benchmark.results import private
from answerback.benchmark.units import Unit, unit_of_rates, unit_of_times
from answerback.bootstrap.benchmark import make_benchmark
from answerback.cli.silence import Silence
from answerback.kernel.errors import ResultsUnwritable, UnknownModel
from answerback.llm.routes_file import RoutesFileError
from answerback.settings import Settings

WIDTH = 100
MAX_PROMPT_BYTES = 1024 * 1024
PROMPTS = (
    "What is the capital of France? Answer in one word.",
    "Explain in three sentences why the sky is blue.",
    "Write a haiku about a message that was never lost.",
)
"""The prompts that are asked if no file of prompts is given."""


SHOWN = (("avg", "avg"), ("min", "min"), ("max", "max"), ("std dev", "std_dev"), ("p50", "p50"), ("p95", "p95"))


class BenchError(Exception):
    """The benchmark cannot be run like this; the message is one line."""


def plans(prompts: Path | None, models: Sequence[str], runs: int, concurrency: int, max_tokens: int) -> list[Plan]:
    """One for each model, or for the default one. Raises BenchError."""
    try:
        asked = list(PROMPTS) if prompts is None else read_prompts(_read(prompts))
        named: Sequence[str | None] = list(dict.fromkeys(models)) or [None]
        return [Plan(asked, model, runs, concurrency, max_tokens) for model in named]
    except OSError as error:
        raise BenchError(f"{prompts} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BenchError(f"{prompts}: {error}") from None


def run(settings: Settings, planned: Sequence[Plan]) -> int:
    """Returns the exit code: 0 when something was answered, 1 when nothing was, 2 when it could not begin."""
    screen = Console(highlight=False)
    if not screen.is_terminal:
        screen.width = WIDTH
    try:
        reports = asyncio.run(_measure(settings, planned))
    except KeyboardInterrupt:
        screen.print(Text(f"\nStopped. The runs that ended are in {settings.benchmarks_dir}."))
        return 130
    except (UnknownModel, ResultsUnwritable, RoutesFileError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"answerback bench: {error}", "bold red"))
        return 2
    plot = Path(reports[0].results_file).with_suffix(".svg")
    with private(plot) as file:
        file.write(svg(panels(reports)).encode())
    _show(screen, reports, plot, mock=settings.mock)
    return 0 if any(report.overall.latency for report in reports) else 1


def panels(reports: Sequence[Report]) -> Sequence[Panel]:
    """The plot: for each measure a bar for each model."""
    times, rates = _units(reports)
    return [
        Panel("Latency", times, [(report.model, report.overall.latency) for report in reports]),
        Panel("Time to first token", times, [(report.model, report.overall.time_to_first_token) for report in reports]),
        Panel("Tokens per second", rates, [(report.model, report.overall.tokens_per_second) for report in reports]),
    ]


def _units(reports: Sequence[Report]) -> tuple[Unit, Unit]:
    return (
        unit_of_times(report.overall.latency for report in reports),
        unit_of_rates(report.overall.tokens_per_second for report in reports),
    )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_PROMPT_BYTES + 1)
    if len(data) > MAX_PROMPT_BYTES:
        raise ValueError(f"is larger than {MAX_PROMPT_BYTES} bytes; take fewer prompts")
    return data


async def _measure(settings: Settings, planned: Sequence[Plan]) -> Sequence[Report]:
    benchmark, provider = make_benchmark(settings, Silence())
    try:
        with ExitStack() as stack:
            return await benchmark.run("", planned, _progress(stack, planned))
    finally:
        await provider.close()


class _Bars:
    """A progress bar for each model, filled one after the other; on stderr, if that is a terminal."""

    def __init__(self, progress: Progress, planned: Sequence[Plan]) -> None:
        self._progress = progress
        self._left = [plan.calls for plan in planned]
        self._tasks = [
            progress.add_task("", total=plan.calls, model=plan.model or "default model", failed="") for plan in planned
        ]
        self._failed = 0

    def __call__(self, run: Run) -> None:
        self._failed += run.failure is not None
        failed = f"{self._failed} failed" if self._failed else ""
        self._progress.update(self._tasks[0], advance=1, failed=failed)
        self._left[0] -= 1
        if not self._left[0]:
            del self._left[0], self._tasks[0]
            self._failed = 0


def _progress(stack: ExitStack, planned: Sequence[Plan]) -> _Bars:
    console = Console(stderr=True, highlight=False)
    model = TextColumn("{task.fields[model]}", markup=False)
    columns = (model, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    failed = TextColumn("{task.fields[failed]}", style="red", markup=False)
    progress = Progress(*columns, failed, console=console, disable=not console.is_terminal)
    return _Bars(stack.enter_context(progress), planned)


def _show(screen: Console, reports: Sequence[Report], plot: Path, *, mock: bool) -> None:
    plan = reports[0].plan
    screen.print(Text(f"{len(plan.prompts)} prompts, {plan.runs} runs each, {plan.concurrency} at once", "bold"))
    if mock:
        screen.print(Text("The mock provider answered: set OPENROUTER_API_KEY, and unset MOCK_MODE, for a real LLM."))
    screen.print(_table(reports))
    for report in reports:
        for code, count in report.overall.failure_codes.items():
            screen.print(Text(f"{report.model}: {count} failed with {code}: {report.reasons[code]}", "red"))
    screen.print(Text(f"Times in {_units(reports)[0].name}, waits between tries left out.", "dim"))
    for what, path in (("Every run", reports[0].results_file), ("Plot", plot)):
        screen.print(Text(f"{what}: {path}"), soft_wrap=True)


def _table(reports: Sequence[Report]) -> Table:
    """A column for each model."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for report in reports:
        table.add_column(Text(report.model), justify="right", overflow="fold")
    summaries = [report.overall for report in reports]
    table.add_row("calls", *(str(each.calls) for each in summaries))
    table.add_row("failed", *(str(each.failures) for each in summaries))
    table.add_row("retries", *(str(each.retries) for each in summaries), end_section=True)
    times, rates = _units(reports)
    for label, measure in SHOWN:
        table.add_row(f"latency {label}", *(_cell(each.latency, measure, times) for each in summaries))
    table.add_row("time to first token avg", *(_cell(each.time_to_first_token, "avg", times) for each in summaries))
    table.add_row("tokens per second avg", *(_cell(each.tokens_per_second, "avg", rates) for each in summaries))
    return table


def _cell(spread: Spread | None, measure: str, unit: Unit) -> str:
    return "" if spread is None else unit.show(getattr(spread, measure))
