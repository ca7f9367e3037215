"""Reading chat completions: what an upstream's document says, or why it cannot be used."""

import json
import math
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import NoReturn, TypeGuard

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.kernel.usage import Usage
from answerback.llm.content import is_blank, text_of
from answerback.llm.model import Answer, FinishReason, Model, name, storable
from answerback.llm.tool_calls import tool_calls

LARGEST_COUNT = 2**63 - 1

WITHOUT_TEXT = ("audio", "refusal", "images")
"""Fields of a message that make an answer without any text."""

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
}


def decode(body: bytes) -> Json:
    """The decoded document, None if the body is not JSON. NaN and Infinity, which Python accepts, are not JSON, nor are
    numbers that Python would read as infinite. A byte order mark is skipped (RFC 8259, section 8.1)."""
    try:
        return _STRICT.decode(body.removeprefix(BOM_UTF8).decode())
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(literal: str) -> float:
    return number if math.isfinite(number := float(literal)) else _refuse(literal)


_STRICT = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def check(choice: Mapping[str, Json]) -> None:
    """Raises ProviderError unless the choice is an answer: it has text, tool calls or one of the fields of
    `WITHOUT_TEXT`, or was cut off by a limit. Tool calls that name no tool are no answer."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise invalid("holds no message")
    try:
        blank = is_blank(message.get("content"))
    except ValueError:
        raise invalid("holds no text") from None
    cut_off = choice.get("finish_reason") in ("length", "content_filter")
    if not tool_calls(message) and blank and not cut_off and not any(message.get(field) for field in WITHOUT_TEXT):
        raise _empty(choice)


def answer(choice: Mapping[str, Json], model: str, usage: Usage | None) -> Answer:
    """A choice that `check` has passed. Raises ProviderError if it holds neither text nor tool calls."""
    message = choice["message"]
    text = text_of(message.get("content"))
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str):
        # A refusal comes in a field of its own: asking again would get, and cost, the same.
        text = refusal
    text = storable(text)
    calls = tool_calls(message)
    if not text.strip() and not calls:
        raise _empty(choice)
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    return Answer(
        text=text if text.strip() else None,
        model=model,
        usage=usage,
        finish_reason=finish_reason(choice.get("finish_reason")),
        tool_calls=calls,
        reasoning=storable(reasoning) if isinstance(reasoning, str) else None,
    )


def _empty(choice: Mapping[str, Json]) -> ProviderError:
    if choice.get("finish_reason") == "content_filter":
        words = "the upstream's content filter withheld the answer"
        return ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)
    if choice.get("finish_reason") == "length":
        # The model used up its tokens before any text, and would again, at the same price.
        words = "the upstream's answer is empty: its tokens were used up first, max_tokens may be too small"
        return ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)
    return empty()


def empty() -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)


def invalid(what: str) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_INVALID, f"the upstream's answer {what}", retryable=True)


def finish_reason(value: Json) -> FinishReason | None:
    """OpenAI's name of an upstream's reason; None for a reason that OpenAI does not have."""
    return _FINISH_REASONS.get(value.lower()) if isinstance(value, str) else None


def usage(value: Json) -> Usage | None:
    """None if a count is missing or not a whole number; a missing total is the sum."""
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if not _counts(prompt) or not _counts(completion):
        return None
    total = value.get("total_tokens")
    total = prompt + completion if total is None else total
    return Usage(prompt, completion, total) if _counts(total) else None


def _counts(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def model(entry: Json) -> Model | None:
    """A model of an upstream's list; None for an entry that names none."""
    if not isinstance(entry, dict) or not (model_id := name(entry.get("id"))):
        return None
    created = entry.get("created")
    return Model(
        id=model_id,
        name=name(entry.get("name")) or model_id,
        description=storable(entry["description"]) if isinstance(entry.get("description"), str) else "",
        created=created if _counts(created) else 0,
        owned_by=name(entry.get("owned_by")) or model_id.partition("/")[0],
    )
