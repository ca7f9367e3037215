"""The benchmark's load generator and upstream, against each other."""

import json
import shutil
from collections.abc import Iterator

import pytest

from bench.systems import CHAT, model, question
from bench.tools import Upstream, build, load

pytestmark = [
    pytest.mark.starts_processes,
    pytest.mark.skipif(shutil.which("cc") is None, reason="a C compiler is needed"),
]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    build()
    with Upstream() as upstream:
        yield upstream


def test_each_request_of_a_number_is_sent_once_and_answered(upstream: Upstream) -> None:
    seen = load(upstream.port, CHAT, question(model()), connections=8, requests=100, warm_up=0, seconds=20)

    assert (seen.done, seen.failed) == (100, 0)
    assert upstream.stats()["calls"] == 100


def test_a_rate_is_kept_and_latency_counts_from_when_a_request_was_due(upstream: Upstream) -> None:
    # One connection, a second's delay: the second request waits for the first one's answer.
    body = question(model(1000))

    seen = load(upstream.port, CHAT, body, connections=1, rate=2, requests=2, warm_up=0, seconds=20)

    assert seen.done == 2
    assert seen.p99 >= 1000
    assert seen.p50 >= 1000


def test_events_of_streams_are_counted(upstream: Upstream) -> None:
    body = question(model(0, 50, 1000), stream=True)

    seen = load(upstream.port, CHAT, body, connections=4, requests=4, warm_up=0, seconds=20)

    # Each has 50 chunks of content, an end, its usage and `[DONE]`.
    assert seen.done == 4
    assert upstream.stats()["calls"] == 4
    assert seen.events > 0


def test_callbacks_are_counted_and_dated(upstream: Upstream) -> None:
    body = json.dumps({"metadata": {"sent": "TTTTTTTTTTTTTTTTTTT"}})

    load(upstream.port, "/callback", body, connections=2, requests=20, warm_up=0, seconds=20)

    got = upstream.wait_for_callbacks(20, 5)
    assert got.count == 20
    assert 0 < got.p50 < 5000


def test_headers_reach_the_server_whole(upstream: Upstream) -> None:
    headers = {"Authorization": "Bearer x", "x-more": "y"}

    seen = load(
        upstream.port, CHAT, question(model()), connections=1, requests=3, warm_up=0, headers=headers, seconds=20
    )

    assert (seen.done, upstream.stats()["calls"]) == (3, 3)
