"""Reading chat completions: what an upstream's document says, or why it cannot be used."""

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import NoReturn

from pydantic_core import from_json

from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HEAVY_BYTES
from answerback.kernel.json import Json, has_more_values, without_collecting
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.answers.charsets import is_utf8
from answerback.llm.answers.content import has_media, is_blank, text_of
from answerback.llm.answers.finish_reasons import Finish, check_end, classify, normalised, reason_of
from answerback.llm.answers.tool_calls import tool_calls
from answerback.llm.model import Answer, storable

MEDIA = ("audio", "images", "image", "video")
"""Fields of a message that hold what is no text."""

WITHOUT_TEXT = (*MEDIA, "refusal", "reasoning", "reasoning_content", "reasoning_details", "thinking")
"""Fields of a message that make an answer without any text."""

WITHOUT_ANYTHING = frozenset({Finish.CUT, Finish.FILTERED})
"""Ends that show a client of OpenAI's routes why there is nothing."""


MAX_DEPTH = 200
"""Answers are some ten deep, schemas of tools twenty."""

LONGEST_REWRITTEN = 128 * 1024
"""In characters: how long a document may be that is read in spite of words in place of numbers."""

MOST_VALUES = 500_000
"""Of one document: the chances of twenty tokens beside each of three thousand."""

LONGEST_NUMBER = 4_000
"""In digits. Python reads integers of 4300."""


class Mended(dict[str, Json]):
    """An object that was read otherwise than it came, such as with null for a number that JSON does not know: its bytes
    cannot be sent on."""


def decode(body: bytes) -> Json:
    """The decoded document, None if the body is not JSON, or is nested deeper than `MAX_DEPTH`. NaN and Infinity, which
    are not JSON, are read as null, and so are numbers that Python would read as infinite or not at all; bytes that are
    no UTF-8 are read as the sign for such. An object that has any of them is `Mended`. A byte order mark is skipped
    (RFC 8259, section 8.1)."""
    if len(body) < HEAVY_BYTES:
        return _decode(body)
    with without_collecting():
        return _decode_heavy(body)


def _decode_heavy(body: bytes) -> Json:
    """As `_decode`, in a third of its time: half a million values hold up all others while they are decoded."""
    try:
        document = from_json(body.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        return _decode(body)
    return _decode(body) if _may_be_infinite(document, body) else document


_SHAPES = bytes(
    ord({"E": "e", "e": "e", "+": "+"}.get(each, "0" if each in "0123456789" else " ")) for each in map(chr, range(256))
)
VAST = 10**300
_VAST_SHAPES = (b"e000", b"e+000", b"0" * 300)
"""What the literals of numbers have that Python may read as infinite, in shapes: every digit as 0."""


FEW_VALUES = 10_000
"""So many are looked at sooner than megabytes of the text in them."""


def _may_be_infinite(document: Json, body: bytes) -> bool:
    """Whether a number in it may be one that Python reads as infinite, or one that is longer than ours."""
    values, seen = [document], 0
    while values and seen < FEW_VALUES:
        value = values.pop()
        seen += 1
        if isinstance(value, float | int) and not -VAST < value < VAST:
            return True
        if isinstance(value, _NESTS):
            seen += len(value)
            values.extend(value.values() if isinstance(value, dict) else value)
    if not values:
        return False
    shape = body.translate(_SHAPES)
    return any(each in shape for each in _VAST_SHAPES)


def _decode(body: bytes) -> Json:
    text = body.removeprefix(BOM_UTF8).decode(errors="replace")
    try:
        document = _STRICT.decode(text)
    except RecursionError:
        return None
    except json.JSONDecodeError as error:
        known = len(text) <= LONGEST_REWRITTEN and _WORD.match(text, error.pos)
        document = _mended(_WORDS.sub(_as_null, text)) if known else None
    except ValueError:
        document = _mended(text)
    if isinstance(document, dict) and "\ufffd" in text and not is_utf8(body):
        document = Mended(document)
    return None if _too_deep(text, document) else document


_WORD = re.compile(r"[-+]?(?:nan|inf(?:inity)?)\b", re.IGNORECASE)
"""What C and C++ write for numbers that JSON does not know."""

_WORDS = re.compile(rf'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|{_WORD.pattern}', re.IGNORECASE | re.DOTALL)
"""The same, and texts, which may hold such words. Reads no character twice."""


def _as_null(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "null"


_NESTS = (dict, list)
"""As a tuple: a union of types is looked through five times as slowly, and half a million values for as long as they
are decoded."""


def _too_deep(text: str, document: Json) -> bool:
    """Whether it is nested so deep that Python could not write it, nor Pydantic read it, again."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    level = [document] if isinstance(document, _NESTS) else []
    for _ in range(MAX_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, _NESTS)]
    return any(level)


def check_structure(body: bytes) -> None:
    """Raises ProviderError for a mere value, such as null, in place of a document."""
    if body.strip() == b"null" or isinstance(decode(body), str | int | float):
        raise invalid("is not a JSON object")


def check_values(body: bytes) -> None:
    """Raises ProviderError for JSON of so many values that decoding it would hold up all others."""
    if len(body) > MOST_VALUES and has_more_values(body, MOST_VALUES):
        raise invalid(f"holds more than {MOST_VALUES} values")


def _mended(text: str) -> Json:
    try:
        document = _LENIENT.decode(text)
    except (ValueError, RecursionError):
        return None
    return Mended(document) if isinstance(document, dict) else document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(literal: str) -> float:
    return number if math.isfinite(number := float(literal)) else _refuse(literal)


def _finite_or_none(literal: str) -> float | None:
    return number if math.isfinite(number := float(literal)) else None


def _int_or_none(literal: str) -> int | None:
    return int(literal) if len(literal) <= LONGEST_NUMBER else None


_STRICT = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_LENIENT = json.JSONDecoder(
    parse_constant=lambda _: None,
    parse_float=_finite_or_none,
    parse_int=_int_or_none,
)


def without_nulls(document: dict[str, Json]) -> dict[str, Json]:
    """The document without choices that are null, which stand for nothing."""
    choices = document.get("choices")
    if not isinstance(choices, list) or all(choice is not None for choice in choices):
        return document
    return Mended({**document, "choices": [choice for choice in choices if choice is not None] or None})


def check(choice: Mapping[str, Json]) -> None:
    """Raises ProviderError unless the choice is an answer: it says why it ends, and has text, tool calls or one of the
    fields of `WITHOUT_TEXT`, or was ended by a limit or a filter. Tool calls that name no tool are no answer."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise invalid("holds no message")
    finish = check_end(reason_of(choice))
    if not tool_calls(message) and not says(message) and finish not in WITHOUT_ANYTHING:
        raise without_text(finish)


def says(said: Json) -> bool:
    """Whether a message, or a piece of one, holds anything of an answer but calls of tools. Raises ProviderError for
    content that is none."""
    if not isinstance(said, dict):
        return False
    try:
        blank = is_blank(said.get("content"))
    except ValueError:
        raise invalid("holds no text") from None
    return not blank or any(said.get(field) for field in WITHOUT_TEXT)


def answer(choice: Mapping[str, Json], model: str, usage: Usage | None) -> Answer:
    """A choice that `check` has passed. Raises ProviderError if it holds neither text nor tool calls."""
    message = choice["message"]
    text = text_of(message.get("content"))
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str):
        # A refusal comes in a field of its own: asking again would get, and cost, the same.
        text = refusal
    blank, text = is_blank(text), storable(text)
    finish = classify(reason_of(choice))
    calls = tool_calls(message, cut=finish is Finish.CUT)
    if blank and not calls:
        raise other_than_text() if shows_or_sounds(message) else without_text(finish)
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    return Answer(
        text=None if blank else text,
        model=model,
        usage=usage,
        finish_reason=normalised(finish, calls_tools=bool(calls)),
        tool_calls=calls,
        reasoning=storable(reasoning) if isinstance(reasoning, str) else None,
    )


def shows_or_sounds(message: Mapping[str, Json]) -> bool:
    """Whether a message, or a piece of one, holds an image, a sound or a film."""
    return any(message.get(field) for field in MEDIA) or has_media(message.get("content"))


def other_than_text() -> ProviderError:
    # Asking again would get, and cost, the same.
    words = "the upstream's answer holds no text, but an image or a sound"
    return ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)


def without_text(finish: Finish | None) -> ProviderError:
    """The failure of an answer that ended so without any text."""
    if finish is Finish.FILTERED:
        words = "the upstream's content filter withheld the answer"
        return ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)
    if finish is Finish.CUT:
        # The model used up its tokens before any text, and would again, at the same price.
        words = "the upstream's answer is empty: its tokens were used up first, max_tokens may be too small"
        return ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)
    return empty()


def empty() -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)


def broken_within(broken: ProviderError) -> ProviderError:
    """The failure of a 200 whose body broke once the model was at work: the answer may have been paid for."""
    if broken.failure.code is not ErrorCode.UPSTREAM_UNREACHABLE or not broken.asked:
        return broken
    return ProviderError(ErrorCode.UPSTREAM_INVALID, broken.failure.message, retryable=True)


def invalid(what: str) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_INVALID, f"the upstream's answer {what}", retryable=True)
