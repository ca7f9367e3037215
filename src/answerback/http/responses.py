"""JSON responses from Pydantic models: one model is the bytes, the documentation and the example of a response."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

JSON = "application/json"


def respond(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """UTF-8 JSON of all the model's fields, in their order, nothing escaped to ASCII. A field that some responses
    lack says so itself, by `exclude_if`. Raises PydanticSerializationError for text that UTF-8 cannot say, and for values
    nested deeper than 200 levels."""
    # The serializer itself, since `model_dump_json` would decode its bytes to a text.
    return Response(body.__pydantic_serializer__.to_json(body), status, headers, JSON)


def shown(example: Mapping[str, Any]) -> ConfigDict:
    """The `model_config` of a response that reads like this: the example of every route that answers with it."""
    return ConfigDict(json_schema_extra={"examples": [dict(example)]})
