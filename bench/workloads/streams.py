"""(b) Streams: 500 at once of 50 chunks a second, and the time to the first chunk of one alone."""

import statistics

from bench.stage import Stage
from bench.systems import BEARER, CHAT, answerback, model, question
from bench.tools import LOAD_CORE, Load, load

STREAMS, CHUNKS_PER_SECOND = 500, 50
OFFERED = STREAMS * CHUNKS_PER_SECOND


def run(stage: Stage) -> None:
    many, first, direct_first = [], [], []
    for _ in range(stage.plan.rounds):
        with answerback(stage.upstream) as running:
            many.append(stream(stage, running.port))
            first.append(_one(stage, running.port).first_byte_p50)
        direct_first.append(_one(stage, stage.upstream.port).first_byte_p50)
    offered = stream(stage, stage.upstream.port).events
    stage.results.add("b", f"chunks a second of {OFFERED:,}, without a relay", "upstream", "/s", [offered])
    chunks = stage.results.add(
        "b", f"chunks a second of {OFFERED:,}", "Answerback", "/s", [each.events for each in many]
    )
    stage.results.aim("b", "chunks a second", chunks.median, 24_000, 25_000, "/s", more=True)
    added = [each - statistics.median(direct_first) for each in first]
    figure = stage.results.add("b", "added time to the first chunk, one stream", "Answerback", "ms", added)
    stage.results.aim("b", "added time to the first chunk", figure.median, 0.4, 0.3, "ms", more=False)


def stream(stage: Stage, port: int, cores: tuple[int, ...] = (LOAD_CORE,), streams: int = STREAMS) -> Load:
    body = question(model(0, 200, 1_000_000 // CHUNKS_PER_SECOND), stream=True)
    seconds = stage.plan.seconds
    return load(port, CHAT, body, connections=streams, seconds=seconds, warm_up=1.0, headers=BEARER, cores=cores)


def _one(stage: Stage, port: int) -> Load:
    body = question(model(0, 1), stream=True)
    return load(port, CHAT, body, connections=1, seconds=min(2.0, stage.plan.seconds), headers=BEARER)
