"""A JSON body is decoded once; what is refused is named, in the words of JSON."""

import json
import time
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator
from starlette.requests import Request

from answerback.http import bodies
from answerback.http.bodies import MAX_UNKNOWN, StrictBody, read_body
from answerback.http.errors import InvalidRequest
from answerback.http.fields import CallbackUrl, Metadata, no_nul
from answerback.kernel.errors import CallbackRefused


class Part(StrictBody):
    text: Annotated[str, AfterValidator(no_nul)]


class Body(StrictBody):
    name: str
    parts: list[Part] | None = None
    metadata: Metadata | None = None
    url: CallbackUrl | None = None


def request(raw: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def refusal(raw: bytes) -> list[dict[str, Any]]:
    with pytest.raises(InvalidRequest) as refused:
        await read_body(request(raw), Body)
    return refused.value.errors


def nested(depth: int) -> bytes:
    return b'{"name":"a","metadata":{"deep":' + b"[" * depth + b"]" * depth + b"}}"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"name": "Müller 🌍"}'.encode(), Body(name="Müller 🌍")),
        (rb'{"name": "\ud83c\udf0d"}', Body(name="🌍")),
        (b' {"name": "a", "parts": [{"text": "b"}]}\n', Body(name="a", parts=[Part(text="b")])),
        (b'\xef\xbb\xbf{"name": "a"}', Body(name="a")),
        (b'{"name": "a", "parts": "", "metadata": null, "url": ""}', Body(name="a")),
        (nested(190), Body(name="a", metadata=json.loads(nested(190))["metadata"])),
    ],
    ids=["text", "escapes", "parts", "byte order mark", "empty", "deep"],
)
async def test_a_body_is_read(raw: bytes, expected: Body) -> None:
    assert await read_body(request(raw), Body) == expected


async def test_a_valid_body_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Once(Body):
        @classmethod
        def model_validate_json(cls, *_: Any, **__: Any) -> Any:
            pytest.fail("the body was parsed again")

    monkeypatch.setattr(bodies, "from_json", lambda _: pytest.fail("the body was parsed again"))

    body = await read_body(request(b'{"name": "a", "parts": [{"text": "b"}], "metadata": {"n": [1]}}'), Once)

    assert body.metadata == {"n": [1]}


@pytest.mark.parametrize(
    ("raw", "place", "kind"),
    [
        (b'{"name": "a", "name": "b"}', ["body", "name"], "duplicate_field"),
        (b'{"name": "a", "metadata": {"n": [{"m": 1, "m": 1}]}}', ["body", "m"], "duplicate_field"),
        (b"[]", ["body"], "model_type"),
        (b'{"name": 5}', ["body", "name"], "string_type"),
        (b'{"name": "a", "parts": [5]}', ["body", "parts", 0], "model_type"),
        (b'{"name": "a", "nane": "b"}', ["body", "nane"], "extra_forbidden"),
        (b'{"name": "a", "metadata": {"n": NaN}}', ["body", "metadata"], "value_error"),
    ],
)
async def test_what_is_wrong_is_named(raw: bytes, place: list[Any], kind: str) -> None:
    (error,) = await refusal(raw)

    assert (error["loc"], error["type"]) == (place, kind)
    assert "instance of" not in error["msg"]


async def test_who_misspells_a_field_reads_which_there_are() -> None:
    (error,) = await refusal(b'{"name": "a", "nane": "b"}')

    assert error["msg"] == f"there is no such field; there are {', '.join(Body.model_fields)}"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        '{"name": "a"}'.encode("utf-16"),
        rb'{"name": "\ud83c"}',
        b'{"name": "a\x01"}',
        b'{"name": "a"} more',
        b'{"name": "a", "metadata": {"n": ' + b"1" * 5_000 + b"}}",
        nested(250),
        nested(100_000),
    ],
    ids=lambda raw: repr(raw[:24]),
)
async def test_what_is_not_json_is_refused_with_its_place(raw: bytes) -> None:
    (error,) = await refusal(raw)

    assert (error["loc"], error["type"]) == (["body"], "json_invalid")
    assert error["msg"].startswith("Invalid JSON: ")
    assert " at line 1 column " in error["msg"]


async def test_of_many_unknown_fields_the_first_are_named_beside_whatever_else_is_wrong() -> None:
    unknown = ",".join(f'"k{number}":1' for number in range(50_000))

    errors = await refusal(f'{{"url":7,{unknown},"name":5}}'.encode())

    assert [each["loc"][-1] for each in errors] == ["name", "url", *(f"k{number}" for number in range(MAX_UNKNOWN))]


async def test_the_field_that_is_given_twice_is_found_among_many_as_quickly_as_the_others_are_read() -> None:
    many = ",".join(f'"k{number}":1' for number in range(50_000))
    began = time.process_time()
    await refusal(f"{{{many}}}".encode())
    without = time.process_time() - began

    began = time.process_time()
    (error,) = await refusal(f'{{{many},"k49999":2}}'.encode())

    assert (error["type"], error["loc"]) == ("duplicate_field", ["body", "k49999"])
    # To count each name takes thousands of times as long.
    assert time.process_time() - began < 20 * without + 0.1


async def test_a_refused_address_is_named_beside_other_errors_and_alone_left_to_the_route() -> None:
    def refuse(_: str) -> None:
        raise CallbackRefused("url is refused")

    wrong = b'{"name": 5, "url": "http://refused.example"}'
    with pytest.raises(InvalidRequest) as refused:
        await read_body(request(wrong), Body, refuse)
    assert [each["loc"][-1] for each in refused.value.errors] == ["name", "url"]

    body = await read_body(request(wrong.replace(b"5", b'"a"')), Body, refuse)
    assert body.url == "http://refused.example"
