"""Request headers that more than one door reads."""

import re

from starlette.requests import Request

from answerback.api.errors import InvalidRequest

_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key`, None without one. Raises InvalidRequest for one that cannot be kept."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.match(key):
        entry = {"type": "idempotency_key", "loc": ["header", "Idempotency-Key"]}
        raise InvalidRequest([{**entry, "msg": "must be 1 to 255 printable ASCII characters"}])
    return key
