"""JSON responses from Pydantic models: one model is the bytes, the documentation and the example of a response."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, PlainSerializer, WithJsonSchema
from starlette.responses import Response

from answerback.kernel.clock import rfc3339

JSON = "application/json"

NO_STORE = {"Cache-Control": "no-store"}
"""The headers of a response that shows a secret."""

Time = Annotated[
    int,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-01T12:00:00.000Z"]}),
]
"""Epoch milliseconds of the wall clock, sent as RFC 3339."""


def is_none(value: object) -> bool:
    """The `exclude_if` of a field that is there only where it has a value."""
    return value is None


def respond(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """UTF-8 JSON of all the model's fields, in their order, nothing escaped to ASCII; a field that some responses lack
    has `exclude_if`. Raises PydanticSerializationError for text that UTF-8 cannot express, and for values nested deeper
    than 200 levels."""
    # The serializer itself, since `model_dump_json` would decode its bytes to a text.
    return Response(body.__pydantic_serializer__.to_json(body), status, headers, JSON)


def plain(body: BaseModel) -> dict[str, Any]:
    """The same fields as plain data; `model_dump` costs a fifth more."""
    data: dict[str, Any] = body.__pydantic_serializer__.to_python(body)
    return data
