"""Each vendor's errors mean what they mean, whatever their status and shape: an example, or more, for every row."""

import json
import time

import pytest
from vendors import EXAMPLES, Example, error

from answerback.kernel.waits import wait_in_text
from answerback.llm.answers.odd_json import decode
from answerback.llm.errors.dialects import BLOCKED, BROKEN, NOT_FOUND, NOTHING_THERE, OTHERWISE, TABLE, classify
from answerback.llm.errors.error_bodies import named_in_headers, read_error
from answerback.llm.errors.meaning import Meaning, Row
from answerback.llm.errors.rate_headers import resets_of_kinds
from answerback.llm.errors.redaction import redact

NOW = 1_750_000_000_000


def decided(example: Example) -> Row:
    body = named_in_headers(read_error(decode(example.raw), example.raw), example.headers)
    said = body.wait if body.wait is not None else wait_in_text(body.message, NOW)
    return classify(example.status, body, asks_wait=said is not None, retry_after="Retry-After" in example.headers)


def test_an_error_means_the_same_in_every_dialect() -> None:
    read = [(decided(example).meaning, example) for example in EXAMPLES]

    assert [(meaning, example) for meaning, example in read if meaning is not example.meaning] == []


def test_every_row_decides_an_example_and_names_its_source() -> None:
    deciding = {id(decided(example)) for example in EXAMPLES}

    rows = [*TABLE, BLOCKED, NOTHING_THERE, BROKEN, NOT_FOUND, OTHERWISE]
    assert [row for row in rows if id(row) not in deciding or not row.source] == []


@pytest.mark.parametrize("planted", ["insufficient balance", "invalid api key", "budget has been exceeded"])
@pytest.mark.parametrize("says", ["Invalid value: '{}'.", "Unknown name {} at response_format", "bad `x {}`"])
def test_a_request_that_is_quoted_in_a_400_rests_no_account(planted: str, says: str) -> None:
    """Given a caller who writes such words into a parameter that the upstream repeats."""
    code = "litellm.BadRequestError: OpenAIException - Invalid value: {'code': 'insufficient_quota'}"
    for body in (
        error(says.format(planted)),
        error(code),
        {"detail": [{"loc": ["body", "x"], "msg": "bad", "input": planted}]},
    ):
        raw = json.dumps(body).encode()

        assert decided(Example("", 400, body, Meaning.REFUSED)).meaning is Meaning.REFUSED, raw


NASTY = ("exceed", "model ", "budget limit ", "context length ", "aError: ", "'", "wait 1m", "path ")


@pytest.mark.parametrize("said", NASTY)
@pytest.mark.parametrize("status", [0, 400, 403, 429, 500])
def test_no_upstream_chooses_what_its_sentence_costs(said: str, status: int) -> None:
    """Given a sentence that patterns could try in very many ways; it takes a fiftieth of the bound."""
    body = read_error({"message": said * 2_000})
    began = time.thread_time()

    classify(status, body, asks_wait=wait_in_text(body.message, NOW) is not None)
    redact(body.message, ("a-secret",))

    assert time.thread_time() - began < 0.25


def test_no_upstream_chooses_what_the_names_of_its_headers_cost() -> None:
    began = time.thread_time()

    assert resets_of_kinds({"rate-limit-" * 5_000: "1", "x-ratelimit-reset-tokens": "2"}, NOW) == 2

    assert time.thread_time() - began < 0.25


def test_a_body_that_is_deep_wide_or_endless_is_read_in_bounded_time() -> None:
    deep: object = {"message": "x"}
    for _ in range(400):
        deep = {"error": deep, "message": "y" * 10_000}
    wide = {"errors": [{"message": f"m{n}", "code": n} for n in range(100_000)]}

    for body in (deep, wide):
        read = read_error(body)
        assert len(read.message) <= 4_000
        assert len(read.words) < 1_000
