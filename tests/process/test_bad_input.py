"""What cannot be taken is refused with a 4xx that names the field, and nothing of it is stored."""

import gzip
import json
import re
import zlib
from typing import Any

import pytest
from relay import Client, fields, problem

KIB_16 = 16 * 1024
DEEP = 10_000
ENORMOUS = b"1" + b"0" * 5000
LEFT_OUT = ""


def metadata_of(size: int) -> dict[str, str]:
    """Metadata that makes exactly this many bytes of JSON."""
    return {"k": "x" * (size - len('{"k":""}'))}


def written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


WRONG_FIELDS = [
    *(("message", written(value)) for value in (None, 1, True, ["hi"], {"text": "hi"})),
    *(("message", written(value)) for value in ("", " \n\t", "\u00a0\u2003", "x" * 32_001, "nul \x00 byte")),
    *(("callback_url", written(value)) for value in (None, 7, [], "", "http://127.0.0.1/\x00", "x" * 2049)),
    ("message", written([{"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}])),
    *(("tool_outputs", written(value)) for value in ([], "sunny", {"tool_call_id": "c", "output": "o"})),
    *(("session_id", written(value)) for value in (5.5, True, ["s"], "  ", "x" * 129, 10**128, "nul\x00")),
    *(("stateless", written(value)) for value in ("true", 1, [])),
    *(("model", written(value)) for value in (5, "x" * 257, "nul\x00", ["m"])),
    *(("system", written(value)) for value in (5, "x" * 32_001, "nul\x00", {"role": "system"})),
    *(("temperature", written(value)) for value in ("1", True, -0.01, 2.01, [], -1, 10**400)),
    *(("max_tokens", written(value)) for value in ("5", True, 0, -1, 1.5, 10_000_001, 10**30)),
    *(("metadata", written(value)) for value in ("text", 5, [], True, [["k", "v"]], metadata_of(KIB_16 + 1))),
    *(("params", written(value)) for value in ("text", [], {"k": "x" * 64 * 1024}, {"k": "nul\x00"})),
    *(("params", written({name: 1})) for name in ("messages", "model", "stream", "n")),
    *(("metadata", written(value)) for value in ({"k": "nul\x00"}, {"nul\x00": 1}, {"k": [{"deep": "nul\x00"}]})),
    ("metadata", written({"k": "ü" * KIB_16})),
    ("message", LEFT_OUT),
    ("callback_url", LEFT_OUT),
    ("unknown", written("field")),
    ("Message", written("in the wrong case")),
    ("messages", written([{"role": "user", "content": "hi"}])),
    ("", written("a field without a name")),
]

REFUSED_URLS = [
    "ftp://example.com/x",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//example.com/x",
    "example.com/callback",
    "http://",
    "http:///path",
    "https://:8080/x",
    "http://user:password@example.com/",
    "http://user@example.com/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:port/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[fd00::1]/",
    "http://0x0a000001/",
    "http://metadata.google.internal/",
    "http://exa mple.com/",
    "http://example.com/\r\nX-Injected: 1",
    "http://example.com\\@10.0.0.1/",
    "http://exämple.com/",
]

NO_JSON = {
    "empty": b"",
    "blank": b"  \n",
    "cut off": b'{"message": "hi", "callback_url": "http',
    "trailing comma": b'{"message": "hi",}',
    "single quotes": b"{'message': 'hi'}",
    "two documents": b'{"message": "hi"} {}',
    "a comment": b'{"message": "hi" /* there */}',
    "a form": b"message=hi&callback_url=http://127.0.0.1/",
    "not UTF-8": b'{"message": "\xff\xfe"}',
    "UTF-16": '{"message": "hi"}'.encode("utf-16"),
    "a raw NUL": b'{"message": "a\x00b"}',
    "a raw line break": b'{"message": "a\nb"}',
    "half a surrogate pair": b'{"message": "\\ud83d"}',
    "the other half": b'{"message": "\\udc00 hi"}',
    "an overlong encoding": b'{"message": "\xc0\x80"}',
    "an array": b'[{"message": "hi"}]',
    "a text": b'"hi"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep metadata": b'{"message": "hi", "metadata": {"a":' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "deep and never closed": b"[" * DEEP,
    "an enormous number": b'{"message": "hi", "max_tokens": ' + ENORMOUS + b"}",
    "an enormous number in metadata": b'{"message": "hi", "metadata": {"n": ' + ENORMOUS + b"}}",
    "gzip": gzip.compress(b'{"message": "hi"}'),
    "deflate": zlib.compress(b'{"message": "hi"}'),
}

ODD_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]


async def refused(client: Client, data: bytes, code: str = "validation_error", **headers: str) -> Any:
    """Posts what must be refused; returns the detail of the 422."""
    reply = await client.request("POST", "/webhook", data=data, headers=headers)
    detail = problem(reply, 422, code)
    assert all(each.keys() == {"type", "loc", "msg"} and each["msg"] for each in detail)
    assert await client.jobs() == []
    return detail


def label(value: object) -> str:
    return (value if isinstance(value, str) else written(value))[:24].replace("\x00", "NUL") or "nothing"


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS, ids=label)
async def test_a_wrong_field_is_refused_by_its_name(client: Client, field: str, value: str) -> None:
    parts = {name: written(each) for name, each in client.body().items()} | {field: value}
    data = ",".join(f"{written(name)}:{part}" for name, part in parts.items() if part != LEFT_OUT)

    detail = await refused(client, f"{{{data}}}".encode())

    assert {name.split(".")[1] for name in fields(detail)} == {field}


async def test_an_address_that_may_not_be_called_is_named_with_whatever_else_is_wrong(client: Client) -> None:
    data = json.dumps(client.body(message="", callback_url="http://10.0.0.1/")).encode()

    detail = await refused(client, data, "validation_error")

    assert fields(detail) == {"body.message", "body.callback_url"}
    assert [each["type"] for each in detail if each["loc"][-1] == "callback_url"] == ["callback_refused"]

    data = json.dumps(client.body(stateless=True, session_id="s", callback_url="http://10.0.0.1/")).encode()
    assert "stateless excludes session_id" in (await refused(client, data, "validation_error"))[0]["msg"]


@pytest.mark.parametrize("field", ["message", "session_id", "system", "model", "callback_url"])
async def test_the_length_of_a_text_is_counted_in_characters(client: Client, field: str) -> None:
    (detail,) = await refused(client, json.dumps(client.body(**{field: "x" * 40_000})).encode())

    assert re.fullmatch(r"must have at most \d+ characters", detail["msg"])


@pytest.mark.parametrize("url", REFUSED_URLS)
async def test_a_callback_url_that_must_not_be_called_is_refused(client: Client, url: str) -> None:
    data = json.dumps(client.body(callback_url=url)).encode()

    detail = await refused(client, data, "callback_refused")

    assert fields(detail) == {"body.callback_url"}


async def test_the_refusal_of_a_private_address_names_the_setting_that_opens_it(client: Client) -> None:
    (entry,) = await refused(
        client, json.dumps(client.body(callback_url="http://10.0.0.1/")).encode(), "callback_refused"
    )

    assert "CALLBACK_ALLOWED_NETWORKS" in entry["msg"]


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON.keys())
async def test_what_is_no_json_object_is_refused(client: Client, data: bytes) -> None:
    detail = await refused(client, data)

    assert fields(detail) == {"body"}


@pytest.mark.parametrize("number", ODD_NUMBERS)
@pytest.mark.parametrize("field", ["temperature", "max_tokens", "metadata", "message"])
async def test_a_number_that_is_none_is_refused(client: Client, field: str, number: str) -> None:
    value = f'{{"n": [{number}]}}' if field == "metadata" else number
    data = json.dumps({**client.body(), field: 0}).replace(f'"{field}": 0', f'"{field}": {value}')

    detail = await refused(client, data.encode())

    assert fields(detail) == {f"body.{field}"}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ('"message": "another"', "message"),
        ('"callback_url": "http://127.0.0.1/other"', "callback_url"),
        ('"session_id": "a", "session_id": "a"', "session_id"),
        ('"metadata": {"k": [{"deep": 1, "deep": 2}]}', "deep"),
    ],
)
async def test_a_body_that_says_the_same_field_twice_is_refused(client: Client, more: str, field: str) -> None:
    detail = await refused(client, f"{json.dumps(client.body())[:-1]}, {more}}}".encode())

    assert fields(detail) == {f"body.{field}"}


async def test_every_wrong_field_is_named_at_once(client: Client) -> None:
    detail = await refused(client, b'{"message": "", "temperature": 9, "max_tokens": "x", "unknown": 1}')

    names = {"message", "callback_url", "temperature", "max_tokens", "unknown"}
    assert fields(detail) == {f"body.{name}" for name in names}


async def test_stateless_and_session_id_exclude_each_other(client: Client) -> None:
    (entry,) = await refused(client, json.dumps(client.body(stateless=True, session_id="s")).encode())

    assert "stateless" in entry["msg"]
    assert "session_id" in entry["msg"]


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "tab\there"], ids=["empty", "long", "non-ASCII", "tab"])
async def test_an_idempotency_key_that_cannot_be_kept_is_refused(client: Client, key: str) -> None:
    detail = await refused(client, json.dumps(client.body()).encode(), **{"Idempotency-Key": key})

    assert fields(detail) == {"header.Idempotency-Key"}


async def test_a_refusal_does_not_repeat_what_was_said(client: Client) -> None:
    marker = "marker-9b1c"
    reply = await client.request("POST", "/webhook", json={"message": [marker], "session_id": marker * 30})

    assert reply.status == 422
    assert marker.encode() not in reply.raw


# The other side of the limits.


async def test_metadata_of_exactly_16_kib_passes(client: Client) -> None:
    metadata = metadata_of(KIB_16)
    body = json.dumps(client.body(metadata=metadata), separators=(",", ":")).encode()

    reply = await client.request("POST", "/webhook", data=body)

    assert reply.status == 202
    (callback,) = await client.callbacks()
    assert callback.json["metadata"] == metadata


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0},
        {"temperature": 2},
        {"max_tokens": 1},
        {"max_tokens": 10_000_000},
        {"session_id": "x" * 128},
        {"system": ""},
        {"metadata": {"n": [1.5, -3, 10**40, None, True]}},
    ],
    ids=label,
)
async def test_the_bounds_themselves_pass(client: Client, given: dict[str, Any]) -> None:
    await client.say(**given)


@pytest.mark.parametrize("key", ["x", "x" * 255, "with space ~!"])
async def test_any_other_idempotency_key_passes(client: Client, key: str) -> None:
    assert (await client.post(headers={"Idempotency-Key": key})).status == 202
