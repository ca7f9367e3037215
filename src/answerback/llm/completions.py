"""Reading chat completions: what an upstream's document says, or why it cannot be used."""

import json
from collections.abc import Mapping
from typing import NoReturn, TypeGuard

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm.content import text_of
from answerback.llm.model import Json, Model, Usage, storable

LARGEST_COUNT = 2**63 - 1
LONGEST_NAME = 256

SAID_OTHERWISE = ("tool_calls", "function_call", "audio", "refusal", "images")
"""Fields of a message that make an answer without any text."""


def decode(body: bytes) -> Json:
    """The document, None where there is none: NaN and Infinity, which Python takes for JSON, are not. A byte order mark
    is passed over (RFC 8259, section 8.1)."""
    try:
        return _STRICT.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_STRICT = json.JSONDecoder(parse_constant=_refuse)


def text(choice: Mapping[str, Json]) -> str:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise invalid("holds no message")
    try:
        text = text_of(message.get("content"))
    except ValueError:
        raise invalid("holds no text") from None
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str):
        # The model declined, in a field of its own: asking again would get, and cost, the same.
        text = refusal
    text = storable(text)
    if text.strip():
        return text
    if choice.get("finish_reason") == "content_filter":
        words = "the upstream's content filter withheld the answer"
        raise ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)
    if choice.get("finish_reason") == "length":
        # The model spent its tokens before it said anything; it would do so, at the same price, again.
        words = "the upstream's answer is empty: its tokens were used up first, max_tokens may be too small"
        raise ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)
    raise ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)


def name(value: Json) -> str | None:
    return storable(value)[:LONGEST_NAME] or None if isinstance(value, str) else None


def usage(value: Json) -> Usage | None:
    """None unless every count is a count; a total not told is the sum."""
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


def invalid(what: str) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_INVALID, f"the upstream's answer {what}", retryable=True)


def says_something(choice: Mapping[str, Json]) -> bool:
    """Whether a choice is an answer at all: text, or one of the fields that stand for it, or cut off by a limit."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return False
    content = message.get("content")
    if isinstance(content, str) and content.strip():
        return True
    if isinstance(content, list) and content:
        return True
    return any(message.get(field) for field in SAID_OTHERWISE) or choice.get("finish_reason") in (
        "length",
        "content_filter",
    )


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
