"""Request bodies as Pydantic models; a refusal names every field that is not valid."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from answerback.http.errors import InvalidRequest
from answerback.http.fields import CheckUrl
from answerback.kernel.errors import CallbackRefused

M = TypeVar("M", bound=BaseModel)


class StrictBody(BaseModel):
    """A body without unknown fields, whose values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


async def read_body(request: Request, model: type[M], check_url: CheckUrl | None = None) -> M:
    """The request's JSON as `model`. Raises InvalidRequest, and BodyTooLarge from the middleware.

    A refusal by `check_url` is named beside the other errors. If the callback's address is the only error, it is left
    to the route: a request that repeats another gets the first response, whichever addresses are allowed now.
    """
    raw = await request.body()
    try:
        body = _parsed(raw, model, check_url)
    except InvalidRequest as refusal:
        if any(each["type"] != CallbackRefused.code for each in refusal.errors):
            raise
        body = _parsed(raw, model, None)
    # Of two values for a field Pydantic takes the last, where a proxy that checked the request may have read the first.
    json.loads(raw, object_pairs_hook=_without_duplicates)
    return body


def _parsed(raw: bytes, model: type[M], check_url: CheckUrl | None) -> M:
    try:
        return model.model_validate_json(raw, context=check_url)
    except ValidationError as error:
        raise InvalidRequest([_entry(each) for each in error.errors(include_url=False, include_input=False)]) from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise InvalidRequest([{"type": "duplicate_field", "loc": ["body", name], "msg": "must not be given twice"}])
        names.add(name)


def from_form(values: Mapping[str, str], model: type[M]) -> M:
    """The fields of a form as `model`, which must convert text to numbers and booleans. Raises InvalidRequest."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest([_entry(each) for each in error.errors(include_url=False, include_input=False)]) from None


def _entry(error: Any) -> dict[str, Any]:
    message = error["msg"].removeprefix("Value error, ")
    return {"type": error["type"], "loc": ["body", *error["loc"]], "msg": message}


def body_schema(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI `requestBody` of a route that reads its body itself."""
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with each `$ref` to a nested model replaced by it: the document has no other place for them."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(ref := schema.get("$ref"), str):
        return _inlined(definitions[ref.removeprefix("#/$defs/")], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
