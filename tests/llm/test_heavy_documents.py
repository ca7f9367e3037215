"""A document of megabytes is read as a small one, and holds up others for less."""

import json

import pytest

from answerback.kernel.heavy import HEAVY_BYTES
from answerback.kernel.json import Json
from answerback.llm.answers.conforming import conforming_whole
from answerback.llm.answers.odd_json import Mended, decode

FILLER = b'"filler": "%b"' % (b"x" * HEAVY_BYTES)
DEEP = b"[" * 250 + b"]" * 250


@pytest.mark.parametrize(
    "value",
    [
        *(b"1.5e-7", b"12345678901234567890", b"-0.0", b'"e123 and 1e999"', b'"\\ud83d\\ude00"', b'"\\u0000"'),
        *(b"1e999", b"-1E+400", b"1e0000400", b"1" + b"0" * 400 + b".5", b"1" * 5_000, b"NaN", b"[-Infinity]"),
        *(b'"\\ud800"', b'"H\xe9llo"', b'{"a": 1, "a": 2}', DEEP, b"[" * 150 + b"]" * 150),
        *(b"[1,]", b"{} {}", b"01", b'"\n"'),
    ],
    ids=lambda value: ascii(value)[:30],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["bare", "marked"])
def test_a_heavy_document_is_what_a_light_one_is(value: bytes, mark: bytes) -> None:
    light = decode(mark + b'{"value": %b}' % value)
    heavy = decode(mark + b'{"value": %b, %b}' % (value, FILLER))

    assert type(heavy) is type(light)
    if isinstance(light, dict):
        assert heavy["value"] == light["value"]


def chances(tokens: int, each: Json) -> dict[str, Json]:
    token = {"token": "a", "logprob": -0.5, "bytes": [97]}
    content = [{**token, "top_logprobs": [{**token, "logprob": each}]} for _ in range(tokens)]
    return {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"} | {
        "logprobs": {"content": content}
    }


def test_chances_that_are_as_they_should_be_are_not_copied() -> None:
    choice = chances(3, -0.5)

    assert conforming_whole(choice, 0) is choice


def test_a_chance_of_nothing_is_a_number_that_clients_read() -> None:
    choice = conforming_whole(chances(3, None), 0)

    assert {each["top_logprobs"][0]["logprob"] for each in choice["logprobs"]["content"]} == {-9999.0}


def test_a_number_that_is_none_makes_a_document_whose_bytes_are_not_sent_on() -> None:
    assert isinstance(decode(json.dumps({"value": float("inf"), "filler": "x" * HEAVY_BYTES}).encode()), Mended)
