"""(g) What grows: the database with finished jobs, a backlog at the start, memory with requests."""

import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from bench.measured import Measured
from bench.rows import copy, multiply
from bench.stage import Stage
from bench.systems import BEARER, CHAT, answerback, message, model, question
from bench.tools import load, until

START_SECONDS = 120.0
REQUESTS_SECONDS = 900.0


def run(stage: Stage) -> None:
    _finished_jobs(stage)
    _backlog(stage)
    _memory(stage)


def _finished_jobs(stage: Stage) -> None:
    costs: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as folder:
        database = Path(folder) / "answerback.db"
        for rows in stage.plan.finished:
            if costs:
                multiply(database, rows)
            values = []
            for _ in range(stage.plan.rounds):
                with answerback(stage.upstream, folder=Path(folder), LLM_MODEL=model(0, 1)) as running:
                    stage.warm(running)
                    values.append(stage.run_jobs(running, jobs=max(1_000, stage.plan.jobs // 5)).cpu_us)
            what = f"CPU a job, {rows:,} finished jobs in the database"
            costs[rows] = stage.results.add("g", what, "Answerback", "µs", values).median
    few, _, many = stage.plan.finished
    ratio = costs[many] / costs[few]
    stage.results.aim("g", f"CPU a job with {many:,} over {few:,}", ratio, 1.1, None, "x", more=False, ratio=True)


def _backlog(stage: Stage) -> None:
    """A process that starts on many queued jobs, beside one that starts on none."""
    values = []
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as folder:
        place = Path(folder)
        with answerback(stage.upstream, folder=place, role="api") as running:
            empty = running.start_seconds
            load(
                running.port, "/webhook", message(stage.upstream), connections=1, requests=1, warm_up=0, headers=BEARER
            )
        with closing(sqlite3.connect(place / "answerback.db")) as database, database:
            copy(
                database,
                "jobs",
                stage.plan.queued,
                {"conversation_id": "NULL", "position": "NULL", "state": "'queued'"},
            )
        for _ in range(stage.plan.rounds):
            stage.upstream.stats()
            began = time.monotonic()
            with answerback(stage.upstream, folder=place, LLM_MODEL=model(60_000, 1)):
                until(lambda: stage.upstream.stats()["in_flight"] > 0, START_SECONDS, "the first queued job")
                values.append(time.monotonic() - began)
    what = f"start until the first call, {stage.plan.queued:,} queued"
    figure = stage.results.add("g", what, "Answerback", "s", values)
    stage.results.add("g", "start, empty database", "Answerback", "s", [empty])
    stage.results.aim("g", what, figure.median, 3, None, "s", more=False)


def _memory(stage: Stage) -> None:
    with ExitStack() as stack:
        running = stack.enter_context(answerback(stage.upstream))
        # What is made at the first requests, and kept, is no growth.
        _ask(running, max(1_000, stage.plan.requests // 10))
        before = running.memory()
        _ask(running, stage.plan.requests)
        grown = running.memory() - before
    what = f"memory gained over {stage.plan.requests:,} requests"
    stage.results.add("g", what, "Answerback", "MiB", [grown])
    stage.results.aim("g", what, grown, 5, None, "MiB", more=False)


def _ask(running: Measured, requests: int) -> None:
    load(
        running.port,
        CHAT,
        question(model()),
        requests=requests,
        seconds=REQUESTS_SECONDS,
        warm_up=0,
        headers=BEARER,
    )
