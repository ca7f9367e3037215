"""How large the body of a request may be, by its path."""

from collections.abc import Mapping


class BodyLimits:
    """`most` bytes; on paths that have a limit of their own, that one, in bytes. A path that ends with a slash stands
    for all below it."""

    def __init__(self, most: int, own: Mapping[str, int]) -> None:
        self._most = most
        self._own = own
        self._below = tuple(path for path in self._own if path.endswith("/"))

    def of(self, path: str) -> int:
        limit = self._own.get(path)
        if limit is None and path.startswith(self._below):
            limit = next(self._own[each] for each in self._below if path.startswith(each))
        return self._most if limit is None else limit
