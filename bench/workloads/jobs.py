"""(c) durable accepts, (d) complete jobs, (e) what a job takes besides the LLM."""

from contextlib import ExitStack

from bench.measured import Measured
from bench.stage import JobsRun, Stage
from bench.systems import BEARER, answerback, message, model, worker
from bench.tools import LOAD_CORE, load
from bench.workloads import job_peers

SLOW_MS = 2000
OVERHEAD_RATE = 100


def accepts(stage: Stage) -> None:
    for database in ("SQLite", *(["PostgreSQL"] if stage.postgres else [])):
        seen = []
        for _ in range(stage.plan.rounds):
            with ExitStack() as stack:
                port = _service(stage, stack, database, role="api").port
                body = message(stage.upstream)
                seen.append(load(port, "/webhook", body, seconds=stage.plan.seconds, headers=BEARER))
        rates, slowest = [each.rate for each in seen], [each.p99 for each in seen]
        rate = stage.results.add("c", f"accepts a second, {database}", "Answerback", "/s", rates)
        p99 = stage.results.add("c", f"p99 of an accept, {database}", "Answerback", "ms", slowest)
        stage.results.aim("c", f"accepts a second, {database}", rate.median, 4500, 8000, "/s", more=True)
        stage.results.aim("c", f"p99 of an accept, {database}", p99.median, 40, None, "ms", more=False)


def complete(stage: Stage) -> None:
    for database in ("SQLite", *(["PostgreSQL"] if stage.postgres else [])):
        for delay, must, go_for in ((0, 1800, 3500), (SLOW_MS, 1500, 2800)):
            runs = _rounds(stage, database, delay)
            llm = f"LLM of {delay // 1000} s"
            rate = stage.results.add("d", f"jobs a second, {llm}, {database}", "Answerback", "/s", _rates(runs))
            stage.results.add("d", f"CPU a job, {llm}, {database}", "Answerback", "µs", [each.cpu_us for each in runs])
            stage.results.aim("d", f"jobs a second, {llm}, {database}", rate.median, must, go_for, "/s", more=True)
    _fleet(stage)


def _fleet(stage: Stage) -> None:
    """The API's process on the load's core, a worker on a core of its own, notified over Redis."""
    if stage.postgres is None or stage.redis is None:
        stage.results.absent["(d) fleet"] = "PostgreSQL or Redis is not installed"
        return
    runs = []
    for _ in range(stage.plan.rounds):
        with ExitStack() as stack:
            url = stack.enter_context(stage.database())
            broker = f"{stage.redis.url.rpartition('/')[0]}/1"
            api = stack.enter_context(
                answerback(stage.upstream, role="api", database_url=url, cores=(LOAD_CORE,), CELERY_BROKER_URL=broker)
            )
            working = stack.enter_context(worker(stage.upstream, url, LLM_MODEL=model(0, 1), CELERY_BROKER_URL=broker))
            stage.warm(api)
            runs.append(stage.run_jobs(api, working, jobs=stage.plan.jobs))
    fleet = stage.results.add("d", "jobs a second, fleet", "Answerback", "/s", _rates(runs))
    stage.results.aim("d", "jobs a second, fleet", fleet.median, 1000, 2000, "/s", more=True)
    job_peers.measure(stage, fleet.median)


def overhead(stage: Stage) -> None:
    """From when a POST was due until its callback came, at a rate that leaves most of the core free."""
    p50, p99 = [], []
    for _ in range(stage.plan.rounds):
        with ExitStack() as stack:
            running = _service(stage, stack, "SQLite", delay_ms=0)
            stage.warm(running)
            seconds = max(3.0, stage.plan.seconds)
            sent = load(
                running.port,
                "/webhook",
                message(stage.upstream),
                connections=16,
                seconds=seconds,
                warm_up=0,
                rate=OVERHEAD_RATE,
                headers=BEARER,
            )
            got = stage.upstream.wait_for_callbacks(sent.done, 30)
            p50.append(got.p50)
            p99.append(got.p99)
    half = stage.results.add("e", "POST until callback, p50 at 100/s", "Answerback", "ms", p50)
    most = stage.results.add("e", "POST until callback, p99 at 100/s", "Answerback", "ms", p99)
    stage.results.aim("e", "POST until callback, p50", half.median, 2.5, 1.5, "ms", more=False)
    stage.results.aim("e", "POST until callback, p99", most.median, 15, None, "ms", more=False)


def _service(stage: Stage, stack: ExitStack, database: str, role: str = "all", delay_ms: int = 0) -> Measured:
    url = stack.enter_context(stage.database()) if database == "PostgreSQL" else None
    return stack.enter_context(answerback(stage.upstream, role=role, database_url=url, LLM_MODEL=model(delay_ms, 1)))


def _rounds(stage: Stage, database: str, delay_ms: int) -> list[JobsRun]:
    runs = []
    for _ in range(stage.plan.rounds):
        with ExitStack() as stack:
            running = _service(stage, stack, database, delay_ms=delay_ms)
            stage.warm(running, delay_ms)
            runs.append(stage.run_jobs(running, jobs=stage.plan.jobs, delay_ms=delay_ms))
    return runs


def _rates(runs: list[JobsRun]) -> list[float]:
    return [each.per_second for each in runs]
