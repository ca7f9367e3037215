"""Reading request bodies: one decode, every bad field named."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from answerback.api.errors import InvalidBody

M = TypeVar("M", bound=BaseModel)


class StrictBody(BaseModel):
    """A body whose fields are all known and mean what their types say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON as `model`. Raises InvalidBody, and BodyTooLarge from the middleware."""
    raw = await request.body()
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise InvalidBody([_entry(each) for each in error.errors(include_url=False, include_input=False)]) from None


def from_form(values: Mapping[str, str], model: type[M]) -> M:
    """The fields of a form as `model`, which must take texts for numbers and truths. Raises InvalidBody."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidBody([_entry(each) for each in error.errors(include_url=False, include_input=False)]) from None


def _entry(error: Any) -> dict[str, Any]:
    message = error["msg"].removeprefix("Value error, ")
    return {"type": error["type"], "loc": ["body", *error["loc"]], "msg": message}


def body_schema(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI `requestBody` of a door that reads its body itself."""
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Models within the model, put where they are referred to: the document has no place of their own for them."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(ref := schema.get("$ref"), str):
        return _inlined(definitions[ref.removeprefix("#/$defs/")], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
