"""What is stored and sent as JSON can be read by everybody."""

import json
from dataclasses import dataclass

import pytest

from answerback.kernel.json import Json, encoded


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    name: str | None = None


def nested(levels: int) -> Json:
    value: Json = "core"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"text": "Grüße, 世界", "n": 10**30}, '{"text":"Grüße, 世界","n":1000000000000000000000000000000}'),
        ([Point(1), Point(2, "b")], '[{"x":1,"name":null},{"x":2,"name":"b"}]'),
        ({"share": float("nan"), "most": float("inf")}, '{"share":null,"most":null}'),
        ({"half": "a\ud83d"}, '{"half":"a?"}'),
    ],
)
def test_json_is_compact_valid_and_utf8(value: Json, expected: str) -> None:
    assert encoded(value).decode() == expected


def test_values_nested_deeply_are_written_whole() -> None:
    assert json.loads(encoded(nested(500))) == nested(500)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        encoded({"text": object()})
