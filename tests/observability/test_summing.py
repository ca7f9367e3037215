"""The page of several processes: counts added, gauges not confused."""

from answerback.kernel.telemetry import Depth
from answerback.observability.metrics import PrometheusMetrics, page_of
from answerback.observability.summing import counts
from metrics_page import Page

WAITING = Depth({"queued": 5}, {"pending": 2}, 7.0, 0.0)
NOTHING_WAITS = Depth({"queued": 0}, {"pending": 0}, 0.0, 0.0)


def test_a_page_of_one_is_the_page_as_it_was() -> None:
    metrics = PrometheusMetrics()
    metrics.accepted("message")
    metrics.claimed(0.003)

    page = page_of([metrics.figures(WAITING)]).decode()

    assert page.splitlines()[0:2] == metrics.exposition(WAITING).decode().splitlines()[0:2]
    assert lines_of_ours(page) == lines_of_ours(metrics.exposition(WAITING).decode())


def test_counters_and_histograms_are_added() -> None:
    one, two = PrometheusMetrics(), PrometheusMetrics()
    one.accepted("message")
    two.accepted("message")
    two.accepted("review")
    one.claimed(0.003)
    two.claimed(0.2)

    text = page_of([one.figures(), two.figures()]).decode()

    assert 'answerback_jobs_accepted_total{kind="message"} 2.0' in text
    assert 'answerback_jobs_accepted_total{kind="review"} 1.0' in text
    assert 'answerback_claim_lag_seconds_bucket{le="0.005"} 1.0' in text
    assert 'answerback_claim_lag_seconds_bucket{le="+Inf"} 2.0' in text
    assert "answerback_claim_lag_seconds_count 2.0" in text


def test_what_waits_in_the_database_is_not_added() -> None:
    one, two = PrometheusMetrics(), PrometheusMetrics()
    two.exposition(WAITING)

    page = Page(page_of([one.figures(NOTHING_WAITS), two.figures()]).decode())

    assert page.value("jobs", state="queued") == 0
    assert page.value("queue_age_seconds") == 0
    assert page.value("build_info") == 1


def test_processes_and_their_memory_are_added_and_the_eldest_start_is_shown() -> None:
    one, two = PrometheusMetrics(), PrometheusMetrics()
    alone = Page(one.exposition(None).decode())

    page = Page(page_of([one.figures(), two.figures()]).decode())

    assert page.value("processes") == 2
    values = {sample.name: sample.value for sample in page.samples}
    before = {sample.name: sample.value for sample in alone.samples}
    assert values["process_resident_memory_bytes"] > 1.5 * before["process_resident_memory_bytes"]
    assert values["process_start_time_seconds"] == before["process_start_time_seconds"]


def test_of_a_process_that_has_ended_only_counts_are_left() -> None:
    ended = PrometheusMetrics()
    ended.accepted("message")
    ended.redis(up=False)

    names = {name for name, _, _, _ in counts(ended.figures(WAITING))}

    assert {"answerback_jobs_accepted", "answerback_redis_outages", "process_cpu_seconds"} <= names
    assert names.isdisjoint({"answerback_jobs", "answerback_redis_up", "answerback_processes"})


def lines_of_ours(page: str) -> list[str]:
    return [line for line in page.splitlines() if "answerback_" in line]
