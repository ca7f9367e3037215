"""The peers of (d): the obvious home-made design, and two queues on PostgreSQL with a task that does nothing."""

import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.measured import Measured
from bench.peers import HOMEMADE, PGQUEUER, PROCRASTINATE, Peer
from bench.stage import Stage
from bench.systems import free_port, model
from bench.tools import HERE, LOAD_CORE, SERVICE_CORE, BenchError, on_cores

FLEET_MUST = 5.0
HOMEMADE_JOBS = 0.3
"""It gets so many of our jobs: it is slower."""
QUEUE_SECONDS = 180.0


def measure(stage: Stage, fleet: float) -> None:
    """`fleet` is our figure, in jobs a second."""
    if HOMEMADE.version():
        rates = [_homemade(stage) for _ in range(stage.plan.rounds)]
        peer = stage.results.add("d", "jobs a second, fleet", "Home-made", "/s", rates)
        ratio = fleet / peer.median
        what = "jobs a second, fleet, over the home-made design"
        stage.results.aim("d", what, ratio, FLEET_MUST, None, "x", more=True, ratio=True)
    for queue in (PROCRASTINATE, PGQUEUER):
        if queue.version():
            rates = [_empty_tasks(stage, queue) for _ in range(stage.plan.rounds)]
            stage.results.add("d", "empty tasks a second, one worker on PostgreSQL", queue.name, "/s", rates)


def _homemade(stage: Stage) -> float:
    assert stage.redis is not None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="answerback-bench-")))
        url = stack.enter_context(stage.database())
        port = stack.enter_context(free_port())
        variables = {
            "PYTHONPATH": str(HERE / "homemade"),
            "DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg2://"),
            "BROKER_URL": f"{stage.redis.url.rpartition('/')[0]}/2",
            "LLM_URL": f"{stage.upstream.base_url}/chat/completions",
            "LLM_MODEL": model(0, 1),
        }
        uvicorn, celery = HOMEMADE.folder / "bin" / "uvicorn", HOMEMADE.folder / "bin" / "celery"
        serve = f"{uvicorn} app:app --port {port} --no-access-log --log-level warning".split()
        api = stack.enter_context(
            Measured("Home-made", serve, folder, port=port, variables=variables, cores=(LOAD_CORE,))
        )
        work = f"{celery} -A tasks worker --concurrency 8 --loglevel WARNING".split()
        working = stack.enter_context(Measured("Home-made", work, folder, ready=None, variables=variables))
        stage.warm(api)
        return stage.run_jobs(api, working, jobs=max(300, int(stage.plan.jobs * HOMEMADE_JOBS))).per_second


def _empty_tasks(stage: Stage, queue: Peer) -> float:
    """Its own script puts tasks in, runs a worker until none is left, and prints tasks a second."""
    with stage.database() as url:
        script = HERE / "queues" / f"{queue.place}_tasks.py"
        try:
            ran = subprocess.run(
                [queue.python, script, url, str(stage.plan.jobs)],
                capture_output=True,
                text=True,
                timeout=QUEUE_SECONDS,
                check=True,
                preexec_fn=on_cores((SERVICE_CORE,)),
            )
        except subprocess.CalledProcessError as error:
            raise BenchError(f"{queue.name}: {error.stderr.strip().splitlines()[-1:]}") from error
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{queue.name}: not done within {QUEUE_SECONDS:g} s") from error
    rate: float = json.loads(ran.stdout.splitlines()[-1])["rate"]
    return rate
