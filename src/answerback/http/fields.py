"""Types of fields that several routes take."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from fastapi import Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from answerback.http.plain_words import AN_EXAMPLE
from answerback.kernel.errors import CallbackRefused
from answerback.kernel.json import encoded_strictly

MAX_METADATA_BYTES = 16 * 1024


def no_nul(value: str) -> str:
    """Text that every database can hold."""
    if "\x00" in value:
        raise ValueError("must not contain NUL characters")
    return value


def not_blank(value: str) -> str:
    """Text as of `no_nul` with more than white space."""
    if not value.strip():
        raise ValueError("must not be blank")
    return no_nul(value)


def at_most(limit: int) -> BeforeValidator:
    """Refuses a longer list or object before what it holds is looked at."""

    def check(value: Any) -> Any:
        if isinstance(value, list | dict) and len(value) > limit:
            kind = "List" if isinstance(value, list) else "Dictionary"
            raise PydanticKnownError("too_long", {"field_type": kind, "max_length": limit, "actual_length": len(value)})
        return value

    return BeforeValidator(check)


def _written_out(value: Any) -> Any:
    """Without it, numbers of seconds would be times, too."""
    if not isinstance(value, str) or value[4:5] != "-":
        raise ValueError(f"must be a time in RFC 3339, {AN_EXAMPLE}")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out)]
"""A time in RFC 3339, with its zone."""

_BARE_PLUS = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?) ([0-9]{2}:[0-9]{2})")


def _with_plus(value: Any) -> Any:
    return _BARE_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


MomentInQuery = Annotated[Moment, BeforeValidator(_with_plus)]
"""Of a query, where the `+` of a zone stands for a space unless it is escaped."""


def epoch_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()) is None:
        raise PydanticKnownError("int_parsing")
    return value


_DECIMAL = re.compile(r"[+-]?[0-9]+", re.ASCII)
DIGITS = BeforeValidator(_decimal)
"""For a whole number in a query or a form, behind its limits: Pydantic reads `1.0` and `1_0` as such, too."""

EMPTY_IS_ABSENT = BeforeValidator(lambda value: None if value == "" else value)
"""For a parameter of a query, as a form sends one that was not filled in: `?status=`."""

MAX_PAGE_SIZE = 100
PageSize = Annotated[
    Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE), DIGITS] | None,
    EMPTY_IS_ABSENT,
    Query(description="How many at most."),
]
"""Of a list's page; None where it was left empty."""

CheckUrl: TypeAlias = Callable[[str], None]
"""Checks an address without resolving its name. Raises CallbackRefused."""


def _checked_url(kind: str) -> AfterValidator:
    """Validates with the CheckUrl in the validation's context; a refusal becomes an error of this `kind`."""

    def check(value: str, info: ValidationInfo) -> str:
        try:
            if info.context is not None:
                info.context(value)
        except CallbackRefused as refusal:
            reason = refusal.named(info.field_name or refusal.field).message
            raise PydanticCustomError(kind, "{reason}", {"reason": reason}) from None
        return value

    return AfterValidator(check)


def _http_or_https(value: str) -> str:
    if not value.lower().startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value


# Limits come before checks: after one pydantic counts "items", not characters.
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(no_nul)]
WEB = WithJsonSchema({"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "maxLength": 2048})
CallbackUrl = Annotated[Url, _checked_url(CallbackRefused.code), WEB]
"""The address of a callback."""
FetchedUrl = Annotated[Url, _checked_url("file_refused"), WEB]
"""The address of a file that the service itself fetches."""
WebUrl = Annotated[Url, AfterValidator(_http_or_https), WEB]
"""An address that the service only passes on."""
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(no_nul)]
Name = Annotated[str, StringConstraints(max_length=64), AfterValidator(no_nul)]
"""An id or a short name that a query looks for."""


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


def bounded(value: Any, limit: int) -> Any:
    """JSON of at most `limit` bytes that every database can hold."""
    size = json_size(value)
    if size > limit:
        raise ValueError(f"must be at most {limit} bytes of JSON; it has {size}")
    for text in _texts(value):
        no_nul(text)
    return value


def json_size(value: Any) -> int:
    """Bytes of JSON. Raises ValueError for values that JSON cannot express."""
    try:
        return len(encoded_strictly(value))
    except ValueError:
        raise ValueError("must be JSON that can be echoed: no NaN, no infinity, no enormous numbers") from None


def relayable(value: dict[str, Any]) -> dict[str, Any]:
    json_size(value)
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(lambda value: bounded(value, MAX_METADATA_BYTES))]
"""An object that is echoed to the client, at most 16 KiB of JSON."""

JsonObject = Annotated[dict[str, Any], AfterValidator(relayable)]
"""An object that JSON can express."""
