"""(i) `serve --processes 2` over `--processes 1`, both on all cores, load and upstream beside them."""

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
    for _ in range(stage.plan.rounds):
        for processes in (1, 2):
            with answerback(stage.upstream, processes=processes, cores=ALL) as running:
                _all_listen(running, processes)
                measured.setdefault(("requests a second", processes), []).append(_requests(stage, running))
                measured.setdefault(("chunks a second", processes), []).append(_chunks(stage, running))
            if stage.postgres is not None:
                measured.setdefault(("jobs a second, PostgreSQL", processes), []).append(_jobs(stage, processes))
    for what in dict.fromkeys(name for name, _ in measured):
        one, two = (
            stage.results.add("i", f"{what}, {n} processes", "Answerback", "/s", measured[what, n]).median
            for n in (1, 2)
        )
        ratio = two / one
        stage.results.aim("i", f"{what}, two processes over one", ratio, MUST, None, "x", more=True, ratio=True)


def _all_listen(running: Measured, processes: int) -> None:
    """The service is ready when its first process is; the others start after that."""
    until(lambda: listening(running.port) == processes, 30, f"one of {processes} processes")


def _requests(stage: Stage, running: Measured) -> float:
    return load(running.port, CHAT, question(model()), seconds=stage.plan.seconds, headers=BEARER, cores=ALL).rate


def _chunks(stage: Stage, running: Measured) -> float:
    return stream(stage, running.port, ALL, STREAMS).events


def _jobs(stage: Stage, processes: int) -> float:
    with (
        stage.database() as url,
        answerback(stage.upstream, processes=processes, cores=ALL, database_url=url, LLM_MODEL=model(0, 1)) as running,
    ):
        _all_listen(running, processes)
        stage.warm(running)
        return stage.run_jobs(running, jobs=stage.plan.jobs).per_second
