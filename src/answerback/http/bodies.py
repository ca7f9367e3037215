"""Request bodies as Pydantic models; a refusal names every field that is not valid."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, TypeAdapter, ValidationError, model_validator
from pydantic_core import CoreSchema, from_json
from starlette.requests import Request

from answerback.http.content_types import refuse_other_than_json
from answerback.http.errors import InvalidRequest
from answerback.http.fields import CheckUrl
from answerback.http.plain_words import plain_errors
from answerback.kernel.errors import CallbackRefused

M = TypeVar("M", bound=BaseModel)

MAX_UNKNOWN = 20
"""How many fields that a body does not have are named."""


class Body(BaseModel):
    """A body in which an optional field that is null or an empty string counts as absent."""

    checks_empty: ClassVar[frozenset[str]] = frozenset()
    """Fields that have a default and yet see such a value."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not any(value is None or value == "" for value in given.values()):
            return given
        return {name: value for name, value in given.items() if value not in (None, "") or not cls._is_optional(name)}

    @classmethod
    def _is_optional(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is not None and not field.is_required() and name not in cls.checks_empty

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, wanted in properties.items():
            if cls._is_optional(name):
                shown = {key: wanted.pop(key) for key in ("title", "description", "default") if key in wanted}
                kinds = [each for each in wanted.get("anyOf", [wanted]) if each != {"type": "null"}]
                properties[name] = {"anyOf": [*kinds, {"type": "null"}, {"const": ""}], **shown}
        return schema


class StrictBody(Body):
    """A body without unknown fields, whose values are not converted.

    A list in it has `fail_fast`, or is bounded before its items are looked at: each error that is named costs far more
    than the bytes that caused it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_most_unknown(cls, given: Any) -> Any:
        known = cls.model_fields
        if not isinstance(given, dict) or len(given) <= len(known) + MAX_UNKNOWN:
            return given
        dropped = set(islice((name for name in given if name not in known), MAX_UNKNOWN, None))
        return {name: value for name, value in given.items() if name not in dropped}


async def read_body(request: Request, model: type[M], check_url: CheckUrl | None = None) -> M:
    """The request's JSON as `model`. Raises InvalidRequest, UnsupportedMediaType, and BodyTooLarge from the
    middleware.

    A refusal by `check_url` is named beside the other errors. If it is the only error, it is left to the route: a
    repeated request gets its first response, whichever addresses are allowed now.
    """
    raw = (await request.body()).removeprefix(BOM_UTF8)
    try:
        decoded = _decoded(raw)
    except InvalidRequest as refusal:
        refuse_other_than_json(
            request, f"send a JSON object with 'Content-Type: application/json'; {_fields_of(model)}"
        )
        if not raw.lstrip().startswith(b"{"):
            refusal.errors[0]["msg"] += f"; send a JSON object; {_fields_of(model)}"
        raise InvalidRequest(refusal.errors) from None
    try:
        return _validated(decoded, raw, model, check_url)
    except InvalidRequest as refusal:
        if any(each["type"] != CallbackRefused.code for each in refusal.errors):
            raise
        return _validated(decoded, raw, model, None)


def _validated(decoded: Any, raw: bytes, model: type[M], check_url: CheckUrl | None) -> M:
    try:
        return model.model_validate(decoded, context=check_url)
    except ValidationError:
        pass
    try:
        # Parsed again, so that the errors name JSON's types and not Python's.
        return model.model_validate_json(raw, context=check_url)
    except ValidationError as error:
        raise _invalid(error, model) from None


def _decoded(raw: bytes) -> Any:
    """The JSON, decoded once. Raises InvalidRequest."""
    try:
        decoded = DECODER.decode(raw.decode())
        if _may_be_more_than_json(raw):
            from_json(raw)
    except (ValueError, RecursionError) as error:
        reason = {"type": "json_invalid", "loc": ["body"], "msg": f"Invalid JSON: {_reason(raw) or error}"}
        raise InvalidRequest([reason]) from None
    return decoded


def _fields_of(model: type[BaseModel]) -> str:
    return f"its fields are {', '.join(model.model_fields)}"


def may_hold_surrogates(raw: bytes) -> bool:
    """Whether JSON escapes surrogates: pairs of them are characters, half a pair is no text."""
    # Searching for one byte is ten times as fast as for three.
    return b"\\" in raw and (b"\\ud" in raw or b"\\uD" in raw)


def _may_be_more_than_json(raw: bytes) -> bool:
    """Whether Python may have decoded what Pydantic and the databases refuse: deep nesting, half a surrogate pair."""
    return may_hold_surrogates(raw) or raw.count(b"{") + raw.count(b"[") >= MAX_DEPTH


def _reason(raw: bytes) -> str | None:
    """Why Pydantic does not read it as JSON, with line and column."""
    try:
        from_json(raw)
    except ValueError as error:
        return str(error)
    return None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a field that is given twice: one value would count here, the other perhaps for a proxy that checked the
    request."""
    made = dict(pairs)
    if len(made) < len(pairs):
        refuse_duplicates(name for name, _ in pairs)
    return made


def refuse_duplicates(names: Iterable[str]) -> None:
    """Raises InvalidRequest for the first name that comes twice."""
    name = next((name for name, count in Counter(names).items() if count > 1), None)
    if name is not None:
        raise InvalidRequest([{"type": "duplicate_field", "loc": ["body", name], "msg": "must not be given twice"}])


DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates)
MAX_DEPTH = 200
"""The deepest nesting that Pydantic's parser takes."""


def from_form(values: Mapping[str, str], model: type[M]) -> M:
    """The fields of a form as `model`, which must convert text to numbers and booleans. Raises InvalidRequest."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _invalid(error, model) from None


def _invalid(error: ValidationError, model: type[BaseModel]) -> InvalidRequest:
    errors = plain_errors(error.errors(include_url=False, include_input=False))
    for each in errors:
        if each["type"] == "extra_forbidden" and len(each["loc"]) == 1:
            each["msg"] += f"; there are {', '.join(model.model_fields)}"
        each["loc"].insert(0, "body")
    return InvalidRequest(errors)


SCHEMA_REF = "#/components/schemas/{model}"


def body_schema(model: type[Any], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI `requestBody` of a route that reads its body itself. The schemas of nested models are in `$defs`, and
    referred to where `openapi.install` moves them."""
    schema = TypeAdapter(model).json_schema(ref_template=SCHEMA_REF)
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
