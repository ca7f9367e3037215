"""How errors read on OpenAI's doors: `{"error": {"message", "type", "param", "code"}}`."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from answerback.http.errors import Shape, json_response, problem
from answerback.http.openapi_parts import EXAMPLES
from answerback.kernel.errors import InvalidField

OURS = frozenset({"conversations", "deliveries", "jobs", "keys", "llm", "reviews", "signing_secret"})
"""What stands after `/v1/` in the paths of our own doors. Whatever else is asked for there means OpenAI's."""

STATUSES: Mapping[int, int] = {422: 400}
"""OpenAI knows no 422: its clients take 400 for a wrong request."""

TYPES: Mapping[int, str] = {429: "rate_limit_error"}
CODES: Mapping[str, str] = {"unauthorized": "invalid_api_key"}
"""Codes of ours that OpenAI has a word of its own for."""


class OpenAIError(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblem(BaseModel):
    """Every error of these doors, as OpenAI's."""

    error: OpenAIError


class InvalidParameter(InvalidField):
    """A parameter of OpenAI's protocol that cannot be taken."""

    code = "invalid_value"


class MissingParameter(InvalidField):
    code = "missing_required_parameter"


def shape_of(path: str) -> Shape:
    """How the door at `path` words its errors."""
    root, version, door, *_ = (*path.split("/", 3), "", "")
    return openai_problem if (root, version) == ("", "v1") and door not in OURS else problem


def openai_problem(
    status: int, code: str, message: str, detail: Any = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An `answerback.http.errors.Shape`. The field that `detail` names first becomes `param`."""
    status = STATUSES.get(status, status)
    return json_response(status, error_body(status, code, message, _param(detail)), headers)


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": CODES.get(code, code)}}


def openai_errors(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses by `_status=reason`."""
    return {int(name[1:]): _documented(int(name[1:]), reason) for name, reason in reasons.items()}


def _documented(status: int, reason: str) -> dict[str, Any]:
    example = error_body(status, *EXAMPLES[status])
    return {"model": OpenAIProblem, "description": reason, "content": {"application/json": {"example": example}}}


def _param(detail: Any) -> str | None:
    if not isinstance(detail, list) or not detail:
        return None
    return ".".join(str(part) for part in detail[0]["loc"] if part not in ("body", "query", "path")) or None
