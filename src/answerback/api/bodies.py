"""Reading request bodies: one decode, every bad field named."""

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


def _entry(error: Any) -> dict[str, Any]:
    message = error["msg"].removeprefix("Value error, ")
    return {"type": error["type"], "loc": ["body", *error["loc"]], "msg": message}


def body_schema(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI `requestBody` of a door that reads its body itself."""
    schema = model.model_json_schema()
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
