"""JSON as upstreams write it: words in place of numbers, vast numbers, line breaks within texts, bytes that are no
UTF-8, megabytes of values."""

import json
import math
import re
from codecs import BOM_UTF8
from typing import NoReturn

from pydantic_core import from_json

from answerback.kernel.heavy import HEAVY_BYTES
from answerback.kernel.json import Json, without_collecting
from answerback.llm.answers.charsets import is_utf8

MAX_DEPTH = 200
"""Answers are some ten deep, schemas of tools twenty."""

LONGEST_REWRITTEN = 128 * 1024
"""In characters: how long a document may be that is read in spite of words in place of numbers."""

LONGEST_NUMBER = 4_000
"""In digits. Python reads integers of 4300."""


class Mended(dict[str, Json]):
    """An object that was read otherwise than it came, such as with null for a number that JSON does not know: its bytes
    cannot be sent on."""


def decode(body: bytes) -> Json:
    """The decoded document, None if the body is not JSON, or is nested deeper than `MAX_DEPTH`. NaN and Infinity, which
    are not JSON, are read as null, and so are numbers that Python would read as infinite or not at all; bytes that are
    no UTF-8 are read as the sign for such; control characters within texts as themselves. An object that has any of
    them is `Mended`. A byte order mark is skipped (RFC 8259, section 8.1)."""
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
        if error.msg.startswith(_CONTROL):
            document = _mended(text)
        else:
            known = len(text) <= LONGEST_REWRITTEN and _WORD.match(text, error.pos)
            document = _mended(_WORDS.sub(_as_null, text)) if known else None
    except ValueError:
        document = _mended(text)
    if isinstance(document, dict) and "\ufffd" in text and not is_utf8(body):
        document = Mended(document)
    return None if _too_deep(text, document) else document


_CONTROL = "Invalid control character"
"""What Python says of a line break or the like that stands in a text as it is. It ought to be escaped (RFC 8259,
section 7), and means the same."""

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
    strict=False,
)
