"""Reading a chat model's review, and bounding what an LLM says of its failures."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.reviews.model import LONGEST_ERROR, Verdict, not_reviewed, verdict


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 0.25, "feedback": "so-so"}',
        ' \n{"feedback": "so-so", "score": 0.25, "grade": "D"}\n',
        '```json\n{"score": 0.25, "feedback": "so-so"}\n```',
        '```\n{"score": 0.25, "feedback": "so-so"}```',
        '```json  \t\n\n\n {"score": 0.25, "feedback": "so-so"}\n\n```',
        'I think:\n```JSON\n{"score": 0.25,\n "feedback": "so-so"}\n```\nand that {is} all.',
        '<think>\nThe form is {"score": ...}.\n</think>\n\n{"score": 0.25, "feedback": "so-so"}',
        '<think>```\n{"score": 1, "feedback": "draft"}\n```</think>```json\n{"score": 0.25, "feedback": "so-so"}\n```',
        'My verdict is {"score": 0.25, "feedback": "so-so"}.',
    ],
)
def test_a_review_however_it_is_wrapped(text: str) -> None:
    assert verdict(text) == Verdict(0.25, "so-so")


@pytest.mark.parametrize("fence", ["```", "```json", "``````", "```json \t"])
@pytest.mark.parametrize("behind", ["\n", " \n", "\n ", "`\n"])
def test_an_answer_that_falls_into_line_breaks_is_read_in_bounded_time(fence: str, behind: str) -> None:
    """It takes a hundredth of the bound."""
    began = time.thread_time()

    with contextlib.suppress(ValueError):
        verdict(fence + behind * 30_000)

    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize("score", ["0", "1", "0.0", "1.0", "1e-3"])
def test_scores_at_the_edge(score: str) -> None:
    assert verdict(f'{{"score": {score}, "feedback": "x"}}').score == float(score)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9 of 10, well done",
        "[]",
        "null",
        '"{}"',
        "{}",
        "{" * 100_000,
        '{"score": 0.5}',
        '{"feedback": "x"}',
        '{"score": "0.5", "feedback": "x"}',
        '{"score": true, "feedback": "x"}',
        '{"score": null, "feedback": "x"}',
        '{"score": 1.01, "feedback": "x"}',
        '{"score": -0.1, "feedback": "x"}',
        '{"score": NaN, "feedback": "x"}',
        '{"score": Infinity, "feedback": "x"}',
        '{"score": 0.5, "feedback": ""}',
        '{"score": 0.5, "feedback": " \\n"}',
        '{"score": 0.5, "feedback": ["x"]}',
        '{"score": 0.5, "feedback": "cut o',
        '{"score": 1%s, "feedback": "x"}' % ("0" * 400),
        '{"score": 0.5, "feedback": "x", "more": [%s[]]}' % ("[]," * 20_000),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_review(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is not|its score|its feedback"):
        verdict(text)


@given(st.text())
def test_any_text_is_a_review_or_a_clear_no(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= verdict(text).score <= 1


def test_a_failure_is_kept_in_words_that_can_be_stored() -> None:
    assert not_reviewed(" a\0b ").error == "a\ufffdb"
    assert not_reviewed("x" * 9_999).error == "x" * LONGEST_ERROR
    for silent in (None, "", " \0"):
        assert not_reviewed(silent).error == "the LLM reported a failure and did not say why"
