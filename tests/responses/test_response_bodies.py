"""The response object: it has every field, however far the response has come."""

from typing import Any

import pytest

from answerback.responses.body import Progress, response_body
from answerback.responses.request import asked

ALWAYS = {
    *("id", "object", "created_at", "completed_at", "status", "background", "store", "error", "incomplete_details"),
    *("instructions", "model", "output", "parallel_tool_calls", "previous_response_id", "conversation", "reasoning"),
    *("text", "tool_choice", "tools", "truncation", "max_output_tokens", "max_tool_calls", "metadata", "user"),
    *("safety_identifier", "prompt_cache_key", "usage", "temperature", "top_p", "presence_penalty"),
    *("frequency_penalty", "top_logprobs", "service_tier"),
}
NEVER_NULL: Any = {
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
    "service_tier": "default",
}


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"])
def test_it_has_every_field_whatever_was_asked(status: str) -> None:
    body = response_body(asked({"input": "hi"}), Progress("resp_1", 1_000, "m", status), stored=True)

    assert body.keys() == ALWAYS
    assert {name: body[name] for name in NEVER_NULL} == NEVER_NULL


def test_it_shows_what_was_asked() -> None:
    given: Any = {
        "instructions": "Be brief.",
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "truncation": "auto",
        "max_output_tokens": 7,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "temperature": 0.0,
        "top_p": 0.5,
        "presence_penalty": 1,
        "frequency_penalty": 2,
        "top_logprobs": 3,
        "service_tier": "flex",
        "reasoning": {"effort": "low", "summary": "auto"},
    }

    body = response_body(asked({"input": "hi", **given}), Progress("resp_1", 1_000, "m", "completed"), stored=True)

    assert {name: body[name] for name in given} == given


@pytest.mark.parametrize(("status", "shown"), [("completed", 2), ("incomplete", None)])
def test_only_one_that_is_completed_has_a_time_of_that(status: str, shown: int | None) -> None:
    at = Progress("resp_1", 1_000, "m", status, completed_at=2_000)

    assert response_body(asked({"input": "hi"}), at, stored=True)["completed_at"] == shown
