"""A clause as one database takes it."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

Arguments: TypeAlias = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class Compiled:
    """A clause as SQL whose parameters are given by position; `arguments` puts named ones in their order."""

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        binds = compiled.bind_names  # type: ignore[attr-defined]
        self.text = str(compiled)
        constants = {name: bind.value for bind, name in binds.items() if not bind.required}
        pick = _picking(compiled.positiontup or ())  # type: ignore[attr-defined]
        self.arguments: Arguments = pick if not constants else lambda given: pick({**constants, **given})


def _picking(names: Sequence[str]) -> Arguments:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple(given[name] for name in names)
