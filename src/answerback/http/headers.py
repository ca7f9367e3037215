"""Headers that more than one router reads, or adds to its responses."""

import re
from collections.abc import Iterable, Mapping

from starlette.requests import Request

from answerback.http.errors import InvalidRequest

RESPONSE_HEADERS = "answerback.response_headers"
"""The key of a request's scope under which the middleware finds headers to add to any response, errors included."""

REPLAYED: Mapping[str, str] = {"Idempotent-Replayed": "true"}
"""On a stored response."""

_REFUSED = re.compile(r"q=0(\.0*)?")
_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


def header(request: Request, name: bytes) -> str | None:
    """The first of this name, in lower case, None without one. `request.headers` would cost four calls."""
    for each, value in request.scope["headers"]:
        if each == name:
            text: str = value.decode("latin-1")
            return text
    return None


def is_of_host(origin: str, host: str | None) -> bool:
    """Whether an `Origin` is that of this `Host`. It is not parsed: one that cannot be is another's."""
    return origin.partition("://")[2] == host


def with_plain_cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers without cookies that hold a backslash, as none may (RFC 6265, section 4.1.1): Python before 3.11.10
    and 3.12.6 takes the square of their length to read one."""
    return [(name, _plain(value) if name == b"cookie" and b"\\" in value else value) for name, value in headers]


def _plain(cookies: bytes) -> bytes:
    return b";".join(each for each in cookies.split(b";") if b"\\" not in each)


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key`, None without one. Raises InvalidRequest for one that cannot be stored, and for several."""
    key = header(request, b"idempotency-key")
    if key is not None and len(set(request.headers.getlist("idempotency-key"))) > 1:
        raise _invalid_key("was sent more than once, with different values: send one")
    if key is not None and not _KEY.match(key):
        raise _invalid_key("must be 1 to 255 printable ASCII characters")
    return key


def _invalid_key(words: str) -> InvalidRequest:
    return InvalidRequest([{"type": "idempotency_key", "loc": ["header", "Idempotency-Key"], "msg": words}])


def accepts(request: Request, media_type: str) -> bool:
    """Whether `Accept` names this type, and not with `q=0`, which refuses it (RFC 9110, 12.5.1)."""
    for each in request.headers.get("accept", "").lower().split(","):
        named, *parameters = (part.strip() for part in each.split(";"))
        if named == media_type and not any(_REFUSED.fullmatch(parameter) for parameter in parameters):
            return True
    return False


def set_headers(request: Request, headers: Mapping[str, str]) -> None:
    """Adds headers to the response, also if that becomes an error, in place of those of these names that were added
    before."""
    added: list[tuple[bytes, bytes]] = request.scope[RESPONSE_HEADERS]
    new = dict[bytes, bytes]()
    for name, value in headers.items():
        new[name.lower().encode()] = value.encode("latin-1")
    if added:
        added[:] = [each for each in added if each[0] not in new]
    added.extend(new.items())
