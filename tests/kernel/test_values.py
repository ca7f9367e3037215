"""Values that are quickly made are the frozen dataclasses that they look like."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Generic, TypeVar

import pytest

from answerback.kernel.values import quickly_made

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plain(Generic[T]):
    name: T
    size: int = 3
    parts: list[str] = field(default_factory=list)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick(Generic[T]):
    name: T
    size: int = 3
    parts: list[str] = field(default_factory=list)


def test_a_value_takes_the_same_arguments_and_defaults() -> None:
    assert inspect.signature(Quick).parameters.keys() == inspect.signature(Plain).parameters.keys()
    assert Quick("a") == Quick(name="a", size=3, parts=[])
    assert Quick("a", 4, ["b"]) == replace(Quick("a"), size=4, parts=["b"])
    assert repr(Quick("a")) == repr(Plain("a")).replace("Plain", "Quick")
    with pytest.raises(TypeError, match=r"Quick.__init__\(\) missing 1 required positional argument: 'name'"):
        Quick()  # type: ignore[call-arg]


def test_each_value_has_a_default_of_its_own() -> None:
    assert Quick("a").parts is not Quick("a").parts


def test_a_value_is_frozen_once_it_is_made() -> None:
    made = Quick("a")

    assert type(made) is Quick
    with pytest.raises(FrozenInstanceError):
        made.size = 4  # type: ignore[misc]


def test_a_value_can_be_copied_and_pickled() -> None:
    made = Quick("a", 4, ["b"])

    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_a_class_that_does_more_than_to_set_its_fields_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Checked:
        size: int

        def __post_init__(self) -> None:
            raise AssertionError

    with pytest.raises(TypeError, match="the fields of Checked are more than set"):
        quickly_made(Checked)
