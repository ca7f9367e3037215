"""Statistics by numbers worked out by hand, and the reading of prompts."""

import pytest

from answerback.benchmark.model import MAX_PROMPT_CHARACTERS, Plan, Run, Spread, read_prompts, spread, summarize


def run(seconds: float = 1.0, *, tokens: int | None = 10, failure: str | None = None, tries: int = 1) -> Run:
    return Run(0, 1, "m", tries, seconds, seconds / 2, tokens, failure)


def test_a_spread_worked_out_by_hand() -> None:
    # Sum 40, mean 5; squared distances 9+1+1+1+0+0+4+16 = 32, over 7 they are 4.571428…
    # Ordered 2 4 4 4 5 5 7 9: the middle lies between 4 and 5; 0.95 * 7 = 6.65 lies between 7 and 9.
    measured = spread([9, 4, 5, 2, 4, 7, 4, 5])

    assert measured is not None
    assert (measured.avg, measured.min, measured.max, measured.p50) == (5.0, 2, 9, 4.5)
    assert measured.std_dev == pytest.approx(2.13809, abs=1e-5)
    assert measured.p95 == pytest.approx(8.3)


def test_a_single_value_does_not_spread() -> None:
    assert spread([3.0]) == Spread(avg=3.0, min=3.0, max=3.0, std_dev=0.0, p50=3.0, p95=3.0)


def test_nothing_has_no_spread() -> None:
    assert spread([]) is None


def test_failures_and_retries_are_counted_and_failures_are_not_measured() -> None:
    runs = [
        run(2.0, tokens=10),
        run(4.0, tokens=40, tries=3),
        run(99.0, failure="upstream_error", tokens=None, tries=4),
        run(99.0, failure="upstream_timeout", tokens=None),
        run(99.0, failure="upstream_error", tokens=None),
    ]

    summary = summarize(runs)

    assert (summary.calls, summary.failures, summary.retries, summary.tokens) == (5, 3, 5, 50)
    assert summary.failure_codes == {"upstream_error": 2, "upstream_timeout": 1}
    assert summary.latency == spread([2.0, 4.0])
    assert summary.time_to_first_token == spread([1.0, 2.0])
    assert summary.tokens_per_second == spread([5.0, 10.0])


def test_tokens_that_nobody_counted_make_no_rate() -> None:
    summary = summarize([run(tokens=None), run(tokens=8, seconds=2.0)])

    assert summary.tokens_per_second == spread([4.0])


def test_when_all_failed_there_is_nothing_to_measure() -> None:
    summary = summarize([run(failure="upstream_error")])

    assert (summary.latency, summary.time_to_first_token, summary.tokens_per_second) == (None, None, None)


def test_prompts_are_lines_without_the_blank_ones() -> None:
    data = "\ufeffone\r\n\n   \n  zwei ü  \rthree\u2028still three\n".encode()

    assert read_prompts(data) == ["one", "zwei ü", "three\u2028still three"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no prompt"),
        (b" \n\n", "holds no prompt"),
        (b"good\nb\xff\n", "line 2 is not UTF-8"),
        (b"good\n\na\0b", "line 3 holds a NUL"),
        (b"x" * (MAX_PROMPT_CHARACTERS + 1), "line 1 has 32,001 characters"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_prompts(data)


def test_a_plan_that_would_never_end_is_refused() -> None:
    Plan(["x"] * 100, None, 100, 5, 512)
    with pytest.raises(ValueError, match="101 prompts with 100 runs are 10,100 calls; at most 10,000"):
        Plan(["x"] * 101, None, 100, 5, 512)
