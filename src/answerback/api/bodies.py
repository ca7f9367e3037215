"""Reading request bodies: every bad field named."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from answerback.api.errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)


class StrictBody(BaseModel):
    """A body whose fields are all known and mean what their types say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON as `model`. Raises InvalidRequest, and BodyTooLarge from the middleware."""
    raw = await request.body()
    try:
        body = model.model_validate_json(raw)
    except ValidationError as error:
        raise InvalidRequest([_entry(each) for each in error.errors(include_url=False, include_input=False)]) from None
    # Pydantic would take the last of two values, where whoever checked the request before us may have read the first.
    json.loads(raw, object_pairs_hook=_each_once)
    return body


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise InvalidRequest([{"type": "duplicate_field", "loc": ["body", name], "msg": "must not be given twice"}])
        names.add(name)


def _entry(error: Any) -> dict[str, Any]:
    message = error["msg"].removeprefix("Value error, ")
    return {"type": error["type"], "loc": ["body", *error["loc"]], "msg": message}


def body_schema(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI `requestBody` of a door that reads its body itself."""
    schema = model.model_json_schema()
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
