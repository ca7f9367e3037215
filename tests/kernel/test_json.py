"""What is stored and sent as JSON can be read by everybody; what comes is counted before it is read."""

import json
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.json import Json, encoded, has_more_values, in_text


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


VALUES = 1_000
MEGABYTES = 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("raw", "more"),
    [
        (b"[" + b'"",' * (MEGABYTES // 3) + b'""]', True),
        (b'"' * MEGABYTES + b"," * 2 * VALUES, True),
        (b'["' + b'\\"' * (MEGABYTES // 2) + b"," * 2 * VALUES + b'"]', False),
        (b'["' + b"\\\\" * (MEGABYTES // 2) + b'",' + b"1," * VALUES + b"1]", True),
        (b'{"a":"' + b",[{" * (MEGABYTES // 3) + b'"}', False),
        (b'{"a":"' + b'x\\",' * (MEGABYTES // 4), False),
    ],
    ids=("texts", "quotes", "escapes", "backslashes", "one text", "no end"),
)
def test_the_values_of_a_body_are_counted_without_a_step_for_each_text_or_escape(raw: bytes, more: bool) -> None:
    """It takes a tenth of the bound, which a step for each would exceed."""
    began = time.thread_time()

    assert has_more_values(raw, VALUES) is more

    assert time.thread_time() - began < 0.4


@given(
    st.recursive(
        st.text('a,"\\[{:\n') | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('a,"\\[{'), inner),
    )
)
def test_values_are_counted_whatever_stands_in_the_texts_between_them(value: Json) -> None:
    raw, values = json.dumps(value).encode(), count(value)

    # An empty object or list has a bracket and no value.
    assert values - 1 <= fewest(raw) <= 2 * values


def count(value: Json) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


def fewest(raw: bytes) -> int:
    """The smallest number of values that the JSON does not exceed."""
    return next(limit for limit in range(len(raw) + 1) if not has_more_values(raw, limit))


NONE = ("", "{", "[" * 100_000, "[" + "9" * 5000 + "]", "[" + "[]," * 20_000 + "[]]", b"\xff")


@pytest.mark.parametrize("text", NONE, ids=lambda text: ascii(text[:9]))
def test_a_text_of_a_peer_that_is_no_json_or_too_much_of_it_is_none(text: str | bytes) -> None:
    assert in_text(text) is None


def test_json_in_a_text_is_read() -> None:
    assert in_text('{"said": "[1, 2, \\"3\\"]"}') == {"said": '[1, 2, "3"]'}
