"""Letting pages of other origins call the service from a browser."""

import re
from collections.abc import Collection, Mapping

Header = tuple[bytes, bytes]

ANY = "*"
METHODS = b"GET, POST, PUT, PATCH, DELETE"
EXPOSED = (
    b"x-request-id, Location, Retry-After, retry-after-ms, x-should-retry, Idempotent-Replayed, "
    b"RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)
MAX_AGE = b"600"
"""Seconds for which a browser may remember a preflight."""

_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")
_VARY: Header = (b"vary", b"Origin")


class Cors:
    """Names the allowed `origins`, such as `https://shop.example`; `*` allows all. Keys are asked for as ever: pages
    send them, no cookie does."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._all = ANY in origins

    def headers(self, origin: bytes | None) -> list[Header]:
        """Of any response to a request that names this origin, or none."""
        if not self._origins:
            return []
        if origin is None or not (self._all or origin in self._origins):
            return [_VARY]
        return [_VARY, (b"access-control-allow-origin", origin), (b"access-control-expose-headers", EXPOSED)]

    def preflight(self, method: str, given: Mapping[bytes, bytes]) -> list[Header] | None:
        """The headers of a response to a preflight, besides those of any response; None for any other request, and for
        an origin that is not allowed."""
        origin = given.get(b"origin")
        if method != "OPTIONS" or origin is None or b"access-control-request-method" not in given:
            return None
        if not (self._all or origin in self._origins):
            return None
        headers = [(b"access-control-allow-methods", METHODS), (b"access-control-max-age", MAX_AGE)]
        wanted = given.get(b"access-control-request-headers", b"")
        if _NAMES.fullmatch(wanted):
            headers.append((b"access-control-allow-headers", wanted))
        if given.get(b"access-control-request-private-network") == b"true":
            headers.append((b"access-control-allow-private-network", b"true"))
        return headers
