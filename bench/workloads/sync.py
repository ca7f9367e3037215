"""(a) Synchronous chat completions, with a key and a rate limit."""

import statistics

from bench.stage import Stage
from bench.systems import CHAT, Proxy, model, proxies, question
from bench.tools import Load, load

PORTKEY_MUST, PORTKEY_GO = 4.0, 8.0
LITELLM_MUST, LITELLM_GO = 36.0, 70.0


def run(stage: Stage) -> None:
    """64 connections, then a steady rate for latency. Start time and idle memory (h) are measured on the way."""
    systems = proxies(stage.upstream)
    seen: dict[tuple[str, int], list[Load]] = {}
    steady: dict[str, list[Load]] = {each.name: [] for each in systems}
    idle: dict[str, list[tuple[float, float]]] = {each.name: [] for each in systems}
    for _ in range(stage.plan.rounds):
        for system in systems:
            with system.start() as running:
                idle[system.name].append((running.memory(), running.start_seconds))
                for delay in stage.plan.delays_ms:
                    seen.setdefault((system.name, delay), []).append(_ask(stage, system, running.port, delay))
                steady[system.name].append(_ask(stage, system, running.port, 0, system.steady_rate))
    rates: dict[str, float] = {}
    for (name, delay), loads in seen.items():
        upstream = f"upstream of {delay} ms"
        figure = stage.results.add("a", f"requests a second, {upstream}", name, "/s", [each.rate for each in loads])
        stage.results.add("a", f"p99 at 64 connections, {upstream}", name, "ms", [each.p99 for each in loads])
        if delay == 0:
            rates[name] = figure.median
        if not any(each.done for each in loads):
            stage.results.absent[f"(a) {name}, {upstream}"] = f"nothing was answered within {stage.plan.seconds:g} s"
        if failed := sum(each.failed for each in loads):
            stage.results.notes.append(f"(a) {name}, {upstream}: {failed} requests failed")
    _compare(stage, rates)
    _added(stage, systems, steady)
    _started(stage, idle)


def direct(stage: Stage, rate: float) -> Load:
    """The same load without a relay."""
    return load(stage.upstream.port, CHAT, question(model()), seconds=stage.plan.seconds, rate=rate)


def _ask(stage: Stage, system: Proxy, port: int, delay: int, rate: float = 0) -> Load:
    body = question(model(delay))
    return load(port, CHAT, body, seconds=stage.plan.seconds, rate=rate, headers=system.headers)


def _compare(stage: Stage, rates: dict[str, float]) -> None:
    goals = {"Portkey": (PORTKEY_MUST, PORTKEY_GO), "LiteLLM": (LITELLM_MUST, LITELLM_GO)}
    for peer, (must, go_for) in goals.items():
        if rates.get(peer):
            ratio = rates["Answerback"] / rates[peer]
            stage.results.aim("a", f"requests a second over {peer}'s", ratio, must, go_for, "x", more=True, ratio=True)


def _added(stage: Stage, systems: list[Proxy], steady: dict[str, list[Load]]) -> None:
    added = {}
    for system in systems:
        without = [direct(stage, system.steady_rate).p50 for _ in range(stage.plan.rounds)]
        values = [each.p50 - statistics.median(without) for each in steady[system.name]]
        what = f"added latency, p50 at {system.steady_rate:g}/s"
        added[system.name] = stage.results.add("a", what, system.name, "ms", values).median
    stage.results.aim("a", "added latency, p50 at 200/s", added["Answerback"], 0.45, 0.3, "ms", more=False)


def _started(stage: Stage, idle: dict[str, list[tuple[float, float]]]) -> None:
    for name, values in idle.items():
        memory = stage.results.add("h", "idle memory", name, "MiB", [each for each, _ in values]).median
        start = stage.results.add("h", "start", name, "s", [each for _, each in values]).median
        if name == "Answerback":
            stage.results.aim("h", "idle memory", memory, 70, None, "MiB", more=False)
            stage.results.aim("h", "start", start, 0.8, None, "s", more=False)
