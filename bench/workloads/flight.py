"""(f) Many calls in flight at once: memory a job, and how long the event loop keeps others waiting."""

from functools import partial

from bench.stage import Stage
from bench.systems import BEARER, answerback, message, model
from bench.tools import load, until

LLM_MS = 30_000
PROBES_PER_SECOND = 50


def run(stage: Stage) -> None:
    sizes, lags = [], []
    for _ in range(stage.plan.rounds):
        with answerback(stage.upstream, LLM_MODEL=model(LLM_MS, 1), JOB_DEADLINE_SECONDS="600") as running:
            stage.upstream.stats()
            before = running.memory()
            wanted = stage.plan.in_flight
            load(
                running.port,
                "/webhook",
                message(stage.upstream),
                seconds=60,
                warm_up=0,
                requests=wanted,
                headers=BEARER,
            )
            until(partial(_in_flight, stage, wanted), 25, f"{wanted} calls in flight")
            sizes.append((running.memory() - before) * 1024 / wanted)
            probes = load(
                running.port, "/healthz", "", method="GET", connections=4, rate=PROBES_PER_SECOND, seconds=4, warm_up=0
            )
            lags.append(probes.p99)
    count = f"{stage.plan.in_flight:,} in flight"
    size = stage.results.add("f", f"memory a job, {count}", "Answerback", "KiB", sizes)
    lag = stage.results.add("f", f"p99 of /healthz, {count}", "Answerback", "ms", lags)
    stage.results.aim("f", f"memory a job, {count}", size.median, 25, 15, "KiB", more=False)
    stage.results.aim("f", f"p99 of /healthz, {count}", lag.median, 30, None, "ms", more=False)


def _in_flight(stage: Stage, wanted: int) -> bool:
    calls: int = stage.upstream.stats()["in_flight"]
    return calls >= wanted
