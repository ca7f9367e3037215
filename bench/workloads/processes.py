"""(i) `serve --processes 2` over `--processes 1`, both on all cores, load, upstream and PostgreSQL beside them.

Where there are few cores these fill up: what the others need is missing to two processes, and not to one. There the
ratio is measured once more with each process held to the same share of a core, which leaves room for the others.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from answerback.testing.backends.tree import descendants
from bench.held import groups, put
from bench.measured import Measured
from bench.stage import Stage
from bench.systems import BEARER, CHAT, answerback, model, question
from bench.tools import CORES, BenchError, listening, load, on_all_cores, until
from bench.workloads.streams import stream

MUST = 1.5
STREAMS = 1000
"""For each process: more than it can relay. One that is held to a share of a core gets that share of them."""
ALL = tuple(CORES)
ENOUGH_CORES = 4
"""Two for the processes, two for the others."""
SHARE = 0.4
"""Of a core: two processes leave the others more than half of two cores, of which they need less."""


@dataclass(slots=True)
class _Seen:
    """What was measured, and how much of all cores was used meanwhile, by what and how many processes."""

    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    busy: dict[tuple[str, int], list[float]] = field(default_factory=dict)


def run(stage: Stage) -> None:
    few = len(ALL) < ENOUGH_CORES
    with on_all_cores(_beside(stage)):
        plain = _rounds(stage, None)
        try:
            held = _rounds(stage, SHARE) if few else None
        except BenchError as error:
            held = None
            stage.results.notes.append(f"(i) each process held to a share of a core: {error}")
    _report(stage, plain, "", decides=held is None)
    if held is not None:
        _report(stage, held, f", each held to {SHARE:g} of a core", decides=True)


def _beside(stage: Stage) -> list[int]:
    """The processes of load, upstream and PostgreSQL."""
    servers = [stage.upstream.pid] if stage.postgres is None else [stage.upstream.pid, stage.postgres.pid]
    return [pid for server in servers for pid in (server, *descendants(server))]


def _rounds(stage: Stage, share: float | None) -> _Seen:
    """Raises BenchError."""
    seen = _Seen()
    for _ in range(stage.plan.rounds):
        for processes in (1, 2):
            with _service(stage, processes, share) as running:
                streams = round(processes * STREAMS * (share or 1.0))
                for what, measure in (("requests a second", _requests), ("chunks a second", partial(_chunks, streams))):
                    with _busy(seen.busy.setdefault((what, processes), [])):
                        seen.rates.setdefault((what, processes), []).append(measure(stage, running))
            if stage.postgres is not None:
                what = "jobs a second, PostgreSQL"
                shares = seen.busy.setdefault((what, processes), [])
                seen.rates.setdefault((what, processes), []).append(_jobs(stage, processes, share, shares))
    return seen


def _report(stage: Stage, seen: _Seen, how: str, *, decides: bool) -> None:
    """`decides`: whether a ratio that falls short fails the run."""
    for what in dict.fromkeys(name for name, _ in seen.rates):
        one, two = (
            stage.results.add("i", f"{what}, {n} processes{how}", "Answerback", "/s", seen.rates[what, n]).median
            for n in (1, 2)
        )
        for n in (1, 2):
            busy = f"of all cores, busy with {what}, {n} processes{how}"
            stage.results.add("i", busy, "Answerback", "%", seen.busy[what, n])
        name = f"{what}, two processes over one{how}"
        stage.results.aim("i", name, two / one, MUST, None, "x", more=True, ratio=decides)


@contextmanager
def _service(stage: Stage, processes: int, share: float | None, url: str | None = None) -> Iterator[Measured]:
    """Ready once all its processes are: the others start after the first. Of several the first pid is the supervisor's,
    which passes on what concerns all, and shares with the first process what that one may take."""
    with ExitStack() as stack:
        held = [] if share is None else stack.enter_context(groups([share] * processes))
        running = stack.enter_context(
            answerback(stage.upstream, processes=processes, database_url=url, cores=ALL, LLM_MODEL=model(0, 1))
        )
        until(lambda: listening(running.port) == processes, 30, f"one of {processes} processes")
        for pid, group in zip(running.pids, [*held[: processes - 1], *held], strict=False):
            put(pid, group)
        yield running


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


def _requests(stage: Stage, running: Measured) -> float:
    return load(running.port, CHAT, question(model()), seconds=stage.plan.seconds, headers=BEARER, cores=ALL).rate


def _chunks(streams: int, stage: Stage, running: Measured) -> float:
    return stream(stage, running.port, ALL, streams).events


def _jobs(stage: Stage, processes: int, share: float | None, shares: list[float]) -> float:
    with stage.database() as url, _service(stage, processes, share, url) as running:
        stage.warm(running)
        with _busy(shares):
            return stage.run_jobs(running, jobs=stage.plan.jobs, cores=ALL).per_second
