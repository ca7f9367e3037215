"""Paths as clients write them: with a slash at the end, or with two where one belongs."""

import re
from collections.abc import Iterable

_SLASHES = re.compile("/+")


class Paths:
    """Below each of `verbatim`, such as `/v1/sessions/`, a path is kept as it is: what follows may be a URL."""

    def __init__(self, verbatim: Iterable[str]) -> None:
        self._verbatim = tuple((prefix, re.compile(prefix.rstrip("/").replace("/", "/+") + "/")) for prefix in verbatim)

    def canonical(self, path: str) -> str:
        """With one slash for many, and none at the end: the path that routes have. A redirect to it would lose the body
        of a POST with many clients, and lead to http:// behind a proxy that ends TLS."""
        if not path.endswith("/") and "//" not in path:
            return path
        for prefix, pattern in self._verbatim:
            if (match := pattern.match(path)) is not None:
                return prefix + path[match.end() :]
        return _SLASHES.sub("/", path).rstrip("/") or "/"
