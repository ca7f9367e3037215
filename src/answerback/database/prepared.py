"""Statements as drivers take them: with parameters by position, and rows that get names."""

import collections
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from answerback.database.statement import PARAMETER, Row, Rows

Arguments: TypeAlias = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class Prepared:
    """SQL text with parameters by position; `arguments` puts named ones in their order. `mark` is how the n-th of them
    is written, counted from 1: the same each time that it occurs, or a new one if `repeated`."""

    def __init__(self, text: str, mark: Callable[[int], str], *, repeated: bool) -> None:
        names: list[str] = []

        def placed(found: re.Match[str]) -> str:
            name = found[1]
            if repeated or name not in names:
                names.append(name)
                return mark(len(names))
            return mark(names.index(name) + 1)

        self.text = PARAMETER.sub(placed, text)
        self.arguments = _picking(names)
        self._make: Callable[[Iterable[Any]], Row] | None = None

    def named(self, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Rows:
        """The driver's rows as named tuples. The names of the columns are looked at once."""
        if (make := self._make) is None:
            # Through `getattr`, since type checkers insist on fields that they can read in the source.
            row = getattr(collections, "namedtuple")("Row", tuple(columns), rename=True)  # noqa: B009
            make = self._make = row._make
        return list(map(make, rows))


def _picking(names: Sequence[str]) -> Arguments:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple(given[name] for name in names)
