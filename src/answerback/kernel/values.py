"""Frozen values that are made for every request, without what `dataclass` takes to set their fields."""

from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")

_become = vars(object)["__class__"].__set__


def quickly_made(cls: type[T]) -> type[T]:
    """Replaces the `__init__` of a frozen dataclass with slots. That of `dataclass` calls `object.__setattr__` for each
    field, which takes five times as long as an assignment. Here a value is of a class with the same slots that is not
    frozen, until its fields are set."""
    of_class: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]  # a dataclass
    if any(not each.init or each.kw_only for each in of_class) or hasattr(cls, "__post_init__"):
        raise TypeError(f"the fields of {cls.__name__} are more than set")
    same = {name: vars(cls)[name] for name in ("__slots__", "__orig_bases__") if name in vars(cls)}
    thawed = type(cls.__name__, cls.__bases__, same)
    known: dict[str, Any] = {"become": _become, "frozen": cls, "thawed": thawed, "MISSING": MISSING}
    parameters, lines = ["self"], ["become(self, thawed)"]
    for name, default, factory in ((each.name, each.default, each.default_factory) for each in of_class):
        has_default = default is not MISSING or factory is not MISSING
        known |= {f"default_{name}": default, f"make_{name}": factory}
        parameters.append(f"{name}=default_{name}" if has_default else name)
        made = name if factory is MISSING else f"make_{name}() if {name} is MISSING else {name}"
        lines.append(f"self.{name} = {made}")
    lines.append("become(self, frozen)")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), known)  # noqa: S102 - as `dataclass` does
    init = known["__init__"]
    init.__qualname__, init.__annotations__ = f"{cls.__qualname__}.__init__", vars(cls)["__init__"].__annotations__
    setattr(cls, "__init__", init)  # noqa: B010 - type checkers know the one of `dataclass`
    return cls
