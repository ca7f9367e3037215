"""Errors of the OpenAI routes: `{"error": {"message", "type", "param", "code"}}`."""

from collections.abc import Mapping
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from answerback.http.errors import ErrorContent
from answerback.http.openapi_parts import EXAMPLES, KEY_REASONS, error_response
from answerback.http.responses import respond
from answerback.kernel.errors import CallbackRefused, InvalidField

STATUSES: Mapping[int, int] = {422: 400}
"""OpenAI knows no 422: its clients take 400 for a wrong request."""

TYPES: Mapping[int, str] = {429: "rate_limit_error"}
_NOT_NAMED = ("body", "query", "path", "header")
"""Where a parameter stands in a request."""
_KEY = "[key]"
"""What Pydantic puts behind the key of a dictionary, if the key is wrong."""
LONGEST_SHOWN = 100
"""Characters of a key that a message repeats."""
CODES: Mapping[str, str] = {"unauthorized": "invalid_api_key"}
"""Codes of ours that OpenAI names otherwise."""


class OpenAIError(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblem(BaseModel):
    """Every error of these routes, as OpenAI's."""

    error: OpenAIError


class InvalidParameter(InvalidField):
    """A parameter of OpenAI's protocol whose value is not valid."""

    code = "invalid_value"


class InvalidType(InvalidField):
    """A parameter that is of another type."""

    code = "invalid_type"


class UnsupportedValue(InvalidField):
    """A value that OpenAI's protocol knows, and this service does not offer."""

    code = "unsupported_value"


class UnknownParameter(InvalidField):
    """A parameter that the route does not have."""

    code = "unknown_parameter"


class MissingParameter(InvalidField):
    """A parameter that OpenAI's protocol requires is missing."""

    code = "missing_required_parameter"


def openai_error(content: ErrorContent) -> Response:
    """The ErrorRenderer of the OpenAI routes. Of the fields that `detail` names the first is shown, as OpenAI does."""
    status, detail = STATUSES.get(content.status, content.status), content.detail
    code, message, param = content.code, content.message, content.param
    if param is None and isinstance(detail, list) and detail:
        wrong = wrong_parameter(detail[0])
        code, message, param = wrong.code, wrong.message, wrong.field or None
    # What is wrong with the whole body has no name of a parameter.
    body = openai_problem(status, code, message, None if param in _NOT_NAMED else param)
    return respond(status, body, content.headers)


def wrong_parameter(entry: Mapping[str, Any]) -> InvalidField:
    """The refusal of what was found wrong (`type`, `loc`, `msg`), named as OpenAI names it: `input[0].content`."""
    kind, where = entry["type"], list(entry["loc"])
    if where and where[0] in _NOT_NAMED:
        del where[0]
    words = entry["msg"]
    if where and where[-1] == _KEY:
        # OpenAI has no name for a key itself.
        words = f"the key {where[-2][:LONGEST_SHOWN]!r}: {words}"
        where = where[:-2]
    param = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in where).lstrip(".")
    match kind:
        case "missing":
            return MissingParameter(param, f"missing required parameter: '{param}'")
        case "extra_forbidden":
            return UnknownParameter(param, f"unknown parameter: '{param}'; {words}")
        case CallbackRefused.code:
            return CallbackRefused(words, param)
        case _:
            kept = f"invalid '{param}': {words}" if param else words
            return InvalidType(param, kept) if kind.endswith("_type") else InvalidParameter(param, kept)


def openai_problem(status: int, code: str, message: str, param: str | None = None) -> OpenAIProblem:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return OpenAIProblem(error=OpenAIError(message=message, type=kind, param=param, code=CODES.get(code, code)))


class OpenAIRoute(APIRoute):
    """The `route_class` of every router that speaks OpenAI's protocol."""

    render_error = staticmethod(openai_error)


def openai_errors(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses by `_status=reason`."""
    return {int(name[1:]): _documented(int(name[1:]), reason) for name, reason in reasons.items()}


def openai_refusal(status: int, reason: str, code: str, message: str = "") -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a route's own error, with an example. Without a `message` it becomes one about a field of
    the route."""
    return {status: _documented(status, reason, (code, message))}


def _documented(status: int, reason: str, of: tuple[str, str] | None = None) -> dict[str, Any]:
    return error_response(reason, openai_problem(status, *(of or EXAMPLES[status])))


OPENAI_KEY_ERRORS = openai_errors(**KEY_REASONS)
