"""(i) `serve --processes 2` over `--processes 1`, both on all cores, load and upstream beside them.

What load, upstream and PostgreSQL need bounds the ratio: where all cores are busy, two processes cannot do more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measured import Measured
from bench.stage import Stage
from bench.systems import BEARER, CHAT, answerback, model, question
from bench.tools import CORES, listening, load, until
from bench.workloads.streams import stream

MUST = 1.5
STREAMS = 1000
"""More than one process can relay: it takes the 500 of (b) as they are offered."""
ALL = tuple(CORES)


def run(stage: Stage) -> None:
    measured: dict[tuple[str, int], list[float]] = {}
    busy: dict[tuple[str, int], list[float]] = {}
    for _ in range(stage.plan.rounds):
        for processes in (1, 2):
            with answerback(stage.upstream, processes=processes, cores=ALL) as running:
                _all_listen(running, processes)
                for what, measure in (("requests a second", _requests), ("chunks a second", _chunks)):
                    with _busy(busy.setdefault((what, processes), [])):
                        measured.setdefault((what, processes), []).append(measure(stage, running))
            if stage.postgres is not None:
                what = "jobs a second, PostgreSQL"
                shares = busy.setdefault((what, processes), [])
                measured.setdefault((what, processes), []).append(_jobs(stage, processes, shares))
    for what in dict.fromkeys(name for name, _ in measured):
        one, two = (
            stage.results.add("i", f"{what}, {n} processes", "Answerback", "/s", measured[what, n]).median
            for n in (1, 2)
        )
        for n in (1, 2):
            stage.results.add("i", f"of all cores, busy with {what}, {n} processes", "Answerback", "%", busy[what, n])
        ratio = two / one
        stage.results.aim("i", f"{what}, two processes over one", ratio, MUST, None, "x", more=True, ratio=True)


@contextmanager
def _busy(shares: list[float]) -> Iterator[None]:
    """Adds how much of all cores was used meanwhile, in percent (`man 5 proc_stat`)."""
    used, spent = _ticks()
    yield
    used_now, spent_now = _ticks()
    shares.append(100 * (used_now - used) / (spent_now - spent))


def _ticks() -> tuple[int, int]:
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    waited = fields[3] + fields[4]
    return sum(fields) - waited, sum(fields)


def _all_listen(running: Measured, processes: int) -> None:
    """The service is ready when its first process is; the others start after that."""
    until(lambda: listening(running.port) == processes, 30, f"one of {processes} processes")


def _requests(stage: Stage, running: Measured) -> float:
    return load(running.port, CHAT, question(model()), seconds=stage.plan.seconds, headers=BEARER, cores=ALL).rate


def _chunks(stage: Stage, running: Measured) -> float:
    return stream(stage, running.port, ALL, STREAMS).events


def _jobs(stage: Stage, processes: int, shares: list[float]) -> float:
    with (
        stage.database() as url,
        answerback(stage.upstream, processes=processes, cores=ALL, database_url=url, LLM_MODEL=model(0, 1)) as running,
    ):
        _all_listen(running, processes)
        stage.warm(running)
        with _busy(shares):
            return stage.run_jobs(running, jobs=stage.plan.jobs).per_second
