"""Benchmarks: each prompt is asked as often as planned, and each run is measured and written down as it ends."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from answerback.benchmark import sheet
from answerback.benchmark.model import Plan, Report, Run, reasons_of, summarize
from answerback.benchmark.results import CsvFile, ResultsFolder
from answerback.kernel.log import Log
from answerback.llm.asking import Asker, Measured
from answerback.llm.catalog import Catalog

COLUMNS = (
    *(
        "model",
        "answered_by",
        "prompt_number",
        "run",
        "status",
        "error_code",
        "error_message",
        "finish_reason",
        "tries",
        "latency_seconds",
    ),
    *("first_token_seconds", "tokens", "tokens_per_second", "prompt", "answer"),
)
"""The columns of the file of results: a row per run, in the order in which runs ended. `model` is the one asked for,
`answered_by` the one that the answer names."""

WRITE_ROWS = 50
SHOWN_CHARACTERS = 300
"""How much of an answer, or of a failure's reason, a report shows; the file has more."""

OnRun = Callable[[Run], None]


def unseen(_: Run) -> None:
    """Does nothing at the end of a run; for callers that show no progress."""


class Benchmark:
    """Runs plans; `default_model` is asked where a plan names none. Cancelling it stops the calls under way and keeps
    the rows of the runs that ended."""

    def __init__(self, asker: Asker, catalog: Catalog, results: ResultsFolder, default_model: str, log: Log) -> None:
        self._asker = asker
        self._catalog = catalog
        self._results = results
        self._default_model = default_model
        self._log = log

    async def run(self, tenant_id: str, plans: Sequence[Plan], on_run: OnRun = unseen) -> Sequence[Report]:
        """A report for each plan, one after the other, all with one file of results. A call that fails is counted and
        stops nothing. Calls take the tenant's turns. Raises UnknownModel, ResultsUnwritable."""
        for plan in plans:
            await self._catalog.check(plan.model)
        file = await self._results.create()
        try:
            await file.write(sheet.line(COLUMNS))
            return [await self._one(tenant_id, plan, file, on_run) for plan in plans]
        finally:
            await file.close()

    async def _one(self, tenant_id: str, plan: Plan, file: CsvFile, on_run: OnRun) -> Report:
        started, model = time.perf_counter(), plan.model or self._default_model
        runs: list[list[Run]] = [[] for _ in plan.prompts]
        answers = [""] * len(plan.prompts)
        rows: list[str] = []
        try:
            async with aclosing(self._ended(tenant_id, plan)) as ended:
                async for run, measured in ended:
                    runs[run.prompt].append(run)
                    answers[run.prompt] = answers[run.prompt] or measured.text[:SHOWN_CHARACTERS]
                    rows.append(_row(plan, model, run, measured))
                    on_run(run)
                    if len(rows) >= WRITE_ROWS:
                        await file.write("".join(rows))
                        rows.clear()
        finally:
            if rows:
                await file.write("".join(rows))
            self._report(plan, runs, file, time.perf_counter() - started)
        # In a thread: the numbers of ten thousand prompts would block the event loop for too long.
        return await asyncio.to_thread(_report, plan, model, runs, answers, file.path, time.perf_counter() - started)

    async def _ended(self, tenant_id: str, plan: Plan) -> AsyncGenerator[tuple[Run, Measured], None]:
        """Each run as it ends. All prompts are asked once before one is asked again."""
        todo = ((prompt, number) for number in range(1, plan.runs + 1) for prompt in range(len(plan.prompts)))
        asking: set[asyncio.Task[tuple[Run, Measured]]] = set()
        try:
            while True:
                while len(asking) < plan.concurrency and (turn := next(todo, None)) is not None:
                    asking.add(asyncio.create_task(self._ask(tenant_id, plan, *turn)))
                if not asking:
                    return
                done, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, tenant_id: str, plan: Plan, prompt: int, number: int) -> tuple[Run, Measured]:
        said = [{"role": "user", "content": plan.prompts[prompt]}]
        named = {} if plan.model is None else {"model": plan.model}
        measured = await self._asker.measure(tenant_id, {"messages": said, "max_tokens": plan.max_tokens, **named})
        failure = measured.failure
        run = Run(
            prompt=prompt,
            number=number,
            model=measured.model,
            tries=measured.tries,
            seconds=measured.seconds,
            first_token_seconds=measured.first_token_seconds,
            tokens=measured.usage.completion_tokens if measured.usage else None,
            failure=failure.code.value if failure else None,
            reason=failure.message[:SHOWN_CHARACTERS] if failure else "",
        )
        return run, measured

    def _report(self, plan: Plan, runs: Sequence[Sequence[Run]], file: CsvFile, seconds: float) -> None:
        ended = sum(len(each) for each in runs)
        failures = sum(run.failure is not None for each in runs for run in each)
        log = self._log.info if ended == plan.calls else self._log.warning
        log(
            "benchmarked" if ended == plan.calls else "benchmark_stopped",
            model=plan.model,
            calls=ended,
            failures=failures,
            seconds=round(seconds, 3),
            file=file.path,
        )


def _report(
    plan: Plan, model: str, runs: Sequence[Sequence[Run]], answers: Sequence[str], results_file: str, seconds: float
) -> Report:
    everyone = [run for each in runs for run in each]
    prompts, reasons = [summarize(each) for each in runs], reasons_of(everyone)
    return Report(plan, model, seconds, summarize(everyone), prompts, answers, results_file, reasons)


def _row(plan: Plan, model: str, run: Run, measured: Measured) -> str:
    failed = measured.failure is not None
    reason = measured.failure.message if measured.failure else None
    return sheet.line(
        (
            *(model, run.model, run.prompt + 1, run.number, "failed" if failed else "ok", run.failure, reason),
            *(measured.finish_reason, run.tries),
            *((None, None) if failed else (run.seconds, run.first_token_seconds)),
            *(run.tokens, run.tokens_per_second, plan.prompts[run.prompt], measured.text),
        )
    )
