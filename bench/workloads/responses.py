"""(k) OpenAI's responses beside chat completions of the same text: CPU, and what storing adds to the wait."""

import json
from collections.abc import Mapping

from bench.measured import Measured
from bench.stage import Stage
from bench.systems import BEARER, CHAT, answerback, model, question
from bench.tools import load

RESPONSES = "/v1/responses"
STEADY_RATE = 50
CLIENTS = 16
CHUNKS = 100


def run(stage: Stage) -> None:
    costs: dict[str, list[float]] = {}
    waits: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(stage.plan.rounds):
        with answerback(stage.upstream) as running:
            for what, (path, body) in _requests().items():
                costs.setdefault(what, []).append(_cost(stage, running, path, body))
            for stored, seen in waits.items():
                seen.append(_wait(stage, running, _response(model(), store=stored)))
    for what, values in costs.items():
        stage.results.add("k", f"CPU, {what}", "Answerback", "µs", values)
    for what, beside, must in (
        ("a response", "a chat completion", 1.3),
        ("a stored response", "a chat completion", None),
        ("a streamed response in the background", "a chat stream", 2.0),
    ):
        ratios = [one / other for one, other in zip(costs[what], costs[beside], strict=True)]
        name = f"CPU of {what} over that of {beside}"
        figure = stage.results.add("k", name, "Answerback", "x", ratios)
        if must is not None:
            stage.results.aim("k", name, figure.median, must, unit="x", more=False, ratio=True)
    added = [stored - plain for stored, plain in zip(waits[True], waits[False], strict=True)]
    name = f"p50 that storing adds, at {STEADY_RATE}/s"
    figure = stage.results.add("k", name, "Answerback", "ms", added)
    stage.results.aim("k", name, figure.median, 1.0, unit="ms", more=False)


def _requests() -> Mapping[str, tuple[str, str]]:
    whole, streamed = model(), model(0, CHUNKS)
    return {
        "a chat completion": (CHAT, question(whole)),
        "a response": (RESPONSES, _response(whole, store=False)),
        "a stored response": (RESPONSES, _response(whole, store=True)),
        "a chat stream": (CHAT, question(streamed, stream=True)),
        "a streamed response in the background": (RESPONSES, _response(streamed, store=True, background=True)),
    }


def _response(name: str, *, store: bool, background: bool = False) -> str:
    """What `question` asks, of the other route; in the background it is streamed."""
    return json.dumps(
        {
            "model": name,
            "instructions": "You are a helpful assistant.",
            "input": "Say hello to the world in one sentence, please.",
            "temperature": 0.2,
            "store": store,
            "background": background,
            "stream": background,
        }
    )


def _cost(stage: Stage, running: Measured, path: str, body: str) -> float:
    """CPU of one, in µs."""
    load(running.port, path, body, connections=CLIENTS, seconds=0.5, warm_up=0, headers=BEARER)
    before = running.cpu()
    seen = load(running.port, path, body, connections=CLIENTS, seconds=stage.plan.seconds, warm_up=0, headers=BEARER)
    return 1e6 * (running.cpu() - before) / seen.done


def _wait(stage: Stage, running: Measured, body: str) -> float:
    """The median at a steady rate, in ms."""
    seconds = stage.plan.seconds
    return load(
        running.port, RESPONSES, body, connections=CLIENTS, seconds=seconds, rate=STEADY_RATE, headers=BEARER
    ).p50
