"""What all workloads stand on: the upstream, private servers, the plan, and where results go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from answerback.testing.backends import PostgresServer, RedisServer
from answerback.testing.backends.postgres import create_database, drop_database
from bench.measured import Measured
from bench.plan import Plan
from bench.results import Results
from bench.systems import BEARER, message
from bench.tools import LOAD_CORE, Load, Upstream, load

_numbers = count(1)
WARM_JOBS = 200
JOBS_SECONDS = 240.0
"""After so long a run of jobs is given up."""


@dataclass(frozen=True, slots=True)
class JobsRun:
    """`per_second` is from the first POST to the last callback, without the LLM's own delay; `cpu_us` a job."""

    per_second: float
    cpu_us: float
    accepts: Load


@dataclass(slots=True)
class Stage:
    """`postgres` and `redis` are None where their programs are not installed."""

    plan: Plan
    upstream: Upstream
    postgres: PostgresServer | None
    redis: RedisServer | None
    results: Results
    only: str = ""
    """Of a workload that has many scenes, those whose name has this."""

    def wants(self, scene: str) -> bool:
        return self.only in scene

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty database on the PostgreSQL of this run."""
        assert self.postgres is not None
        name = f"bench{next(_numbers)}"
        try:
            yield create_database(self.postgres.url, name)
        finally:
            drop_database(self.postgres.url, name)

    def warm(self, system: Measured, delay_ms: int = 0) -> None:
        self.upstream.stats()
        sent = self._post(system, WARM_JOBS, 16)
        self.upstream.wait_for_callbacks(sent.done, 30 + delay_ms / 1000)

    def run_jobs(
        self,
        system: Measured,
        *worked: Measured,
        jobs: int,
        delay_ms: int = 0,
        cores: tuple[int, ...] = (LOAD_CORE,),
    ) -> JobsRun:
        """So many jobs from 64 clients, each asking again when it has its 202. `worked` are more processes whose CPU
        counts."""
        self.upstream.stats()
        systems = (system, *worked)
        before, began = sum(each.cpu() for each in systems), time.monotonic()
        accepts = self._post(system, jobs, 64, cores)
        callbacks = self.upstream.wait_for_callbacks(accepts.done, JOBS_SECONDS)
        spent = sum(each.cpu() for each in systems) - before
        seconds = callbacks.last_at - began - delay_ms / 1000
        return JobsRun(accepts.done / seconds, 1e6 * spent / accepts.done, accepts)

    def _post(self, system: Measured, jobs: int, connections: int, cores: tuple[int, ...] = (LOAD_CORE,)) -> Load:
        return load(
            system.port,
            "/webhook",
            message(self.upstream),
            connections=connections,
            seconds=JOBS_SECONDS,
            warm_up=0,
            requests=jobs,
            headers=BEARER,
            cores=cores,
        )
