"""JSON as Python holds it, and how many values it has."""

import re
from typing import Any

Json = Any
"""A decoded JSON value."""

_TEXT = re.compile(rb'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)', re.DOTALL)
"""A text of JSON, also one that never ends: what matches at the first try costs a look at each byte."""


def has_more_values(raw: bytes, limit: int) -> bool:
    """Whether JSON has more values than that: many small ones cost far more than as many bytes of text. Each but the
    first of an object or a list follows a comma, and those begin with a bracket; in texts both mean nothing."""
    return len(raw) > limit and _separators(raw) > limit and _separators(_TEXT.sub(b"", raw)) > limit


def _separators(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")
