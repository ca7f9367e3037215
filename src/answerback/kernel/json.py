"""JSON as Python holds it, as it is written, and how many values it has."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_core import to_json

Json = Any
"""A decoded JSON value."""


def encoded(value: Any) -> bytes:
    """Plain data, dataclasses and Pydantic's models, as compact JSON in UTF-8. Of plain data what UTF-8 cannot express
    is replaced, and a number that JSON cannot express is null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError:
        # Half a surrogate pair, or deeper than 200 levels.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def encoded_strictly(value: Any) -> bytes:
    """Plain data as compact JSON in UTF-8. Raises ValueError, TypeError and RecursionError for what is none, such as a
    number that JSON cannot express, or half a surrogate pair."""
    try:
        made = to_json(value, inf_nan_mode="constants")
    except ValueError:
        # Perhaps only deeper than 200 levels.
        pass
    else:
        if b"NaN" not in made and b"Infinity" not in made:
            return made
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@contextmanager
def without_collecting() -> Iterator[None]:
    """Makes many objects, none of which refers back to another: looking for cycles among them, again and again, takes
    twice as long as to make them. For what waits for nothing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def has_more_values(raw: bytes, limit: int) -> bool:
    """Whether JSON has more values than that: many small ones cost far more than as many bytes of text. Each but the
    first of an object or a list follows a comma, and those begin with a bracket; in texts both mean nothing. It costs
    some passes over the bytes, and no step for each text or escape: a peer sends millions of them."""
    if len(raw) <= limit or _separators(raw) <= limit:
        return False
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    # A value is one text at most, and has a name that is another.
    if unescaped.count(b'"') > 4 * limit:
        return True
    return sum(map(_separators, unescaped.split(b'"')[::2])) > limit


def _separators(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


MOST_VALUES_IN_TEXT = 10_000


def in_text(text: str | bytes) -> Json:
    """The JSON that stands in a text of a peer's. None for what is none, and for more values than stand in any that is
    meant: the bounds of the document around it see one text."""
    raw = text if isinstance(text, bytes) else text.encode(errors="replace")
    if has_more_values(raw, MOST_VALUES_IN_TEXT):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
