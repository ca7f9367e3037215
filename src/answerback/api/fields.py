"""Kinds of values that several doors take."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

MAX_METADATA_BYTES = 16 * 1024


def no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain NUL characters")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


Text = Annotated[str, AfterValidator(no_nul)]
"""Text that every database can hold."""

ModelName = Annotated[Text, StringConstraints(min_length=1, max_length=256)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def echoable(value: dict[str, Any]) -> dict[str, Any]:
    size = json_size(value)
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes of JSON; it has {size}")
    for text in _texts(value):
        no_nul(text)
    return value


def json_size(value: dict[str, Any]) -> int:
    """Bytes of JSON. Raises ValueError for what JSON cannot say again."""
    try:
        return len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except ValueError:
        raise ValueError("must be JSON that can be echoed: no NaN, no infinity, no enormous numbers") from None


def relayable(value: dict[str, Any]) -> dict[str, Any]:
    json_size(value)
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(echoable)]
"""An object of the caller's own, at most 16 KiB of JSON."""

JsonObject = Annotated[dict[str, Any], AfterValidator(relayable)]
"""An object that JSON can say again."""
