"""`python -m bench [--quick] [workload …]`: each figure beside its target; exit code 1 where a ratio falls short."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from answerback.testing.backends import BackendUnavailable, PostgresServer, RedisServer
from bench import report
from bench.peers import PEERS
from bench.plan import FULL, QUICK
from bench.results import Results
from bench.stage import Stage
from bench.tools import BUILD, HERE, LOAD_CORE, BenchError, Upstream, build
from bench.workloads import console, flight, growth, jobs, neighbours, processes, responses, streams, sync

S = TypeVar("S", PostgresServer, RedisServer)

STEPS: Mapping[str, tuple[str, Callable[[Stage], None]]] = {
    "sync": ("(a, h) chat completions, start, idle memory", sync.run),
    "streams": ("(b) streams", streams.run),
    "accepts": ("(c) durable accepts", jobs.accepts),
    "jobs": ("(d) complete jobs", jobs.complete),
    "overhead": ("(e) what a job takes besides the LLM", jobs.overhead),
    "flight": ("(f) many in flight", flight.run),
    "growth": ("(g) growth", growth.run),
    "processes": ("(i) several processes", processes.run),
    "neighbours": ("(j) a tenant beside another", neighbours.run),
    "responses": ("(k) responses beside chat completions", responses.run),
    "console": ("(l) the console", console.run),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes, once the peers are installed")
    parser.add_argument("--without-peers", action="store_true", help="install none, and compare with none")
    parser.add_argument("--only", default="", metavar="TEXT", help="of neighbours: the scenes whose name has this")
    parser.add_argument("workloads", nargs="*", metavar="workload", help=", ".join(STEPS))
    chosen = parser.parse_args()
    if unknown := set(chosen.workloads) - STEPS.keys():
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    # So that ending this process ends all that it started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(chosen.quick, chosen.workloads or list(STEPS), chosen.only, peers=not chosen.without_peers)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _run(quick: bool, workloads: list[str], only: str, *, peers: bool) -> int:
    results, plan = Results(), QUICK if quick else FULL
    build()
    for peer in PEERS:
        reason = peer.install() if peers else "not asked for"
        if reason is not None:
            results.absent[peer.name] = reason
            print(f"{peer.name} is absent: {reason}", flush=True)
    # Private servers inherit it: the service alone has its core.
    os.sched_setaffinity(0, (LOAD_CORE,))
    began = time.monotonic()
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        servers = _server(stack, PostgresServer, results), _server(stack, RedisServer, results)
        stage = Stage(plan, upstream, *servers, results, only)
        for name in workloads:
            title, step = STEPS[name]
            print(title, flush=True)
            try:
                step(stage)
            except BenchError as error:
                results.absent[title] = str(error)
                print(f"  not measured: {error}", flush=True)
    return _conclude(results, time.monotonic() - began, quick=quick)


def _server(stack: ExitStack, kind: type[S], results: Results) -> S | None:
    try:
        return stack.enter_context(kind.start())
    except BackendUnavailable as error:
        results.absent[kind.__name__] = str(error)
        return None


def _conclude(results: Results, seconds: float, *, quick: bool) -> int:
    # A quick run's figures are not worth keeping beside those of a full one.
    folder: Path = BUILD / "quick" if quick else HERE
    page = report.write(results, QUICK if quick else FULL, folder, seconds)
    print(f"{seconds:.0f} s; {page}")
    for target in results.failed:
        print(f"short: ({target.workload}) {target.what}: {target.measured:.2f}, target {target.must}")
    return 1 if results.failed or any(title.startswith("(") for title in results.absent) else 0


if __name__ == "__main__":
    sys.exit(main())
