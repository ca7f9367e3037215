"""Headers that more than one door reads, or adds to its responses."""

import re
from collections.abc import Mapping

from starlette.requests import Request

from answerback.http.errors import InvalidRequest

RESPONSE_HEADERS = "answerback.response_headers"
"""Where a request's scope holds what the middleware adds to its response, whoever makes it."""

REPLAYED: Mapping[str, str] = {"Idempotent-Replayed": "true"}
"""Says that a response is one of before."""

_REFUSED = re.compile(r"q=0(\.0*)?")
_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key`, None without one. Raises InvalidRequest for one that cannot be kept."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.match(key):
        entry = {"type": "idempotency_key", "loc": ["header", "Idempotency-Key"]}
        raise InvalidRequest([{**entry, "msg": "must be 1 to 255 printable ASCII characters"}])
    return key


def accepts(request: Request, media_type: str) -> bool:
    """Whether `Accept` asks for this type by its name, and not with `q=0`, which refuses it (RFC 9110, 12.5.1)."""
    for each in request.headers.get("accept", "").lower().split(","):
        named, *parameters = (part.strip() for part in each.split(";"))
        if named == media_type and not any(_REFUSED.fullmatch(parameter) for parameter in parameters):
            return True
    return False


def add_header(request: Request, name: str, value: str) -> None:
    """Adds to the response, also when it becomes an error."""
    added: list[tuple[bytes, bytes]] = request.scope[RESPONSE_HEADERS]
    added.append((name.lower().encode(), value.encode("latin-1")))
