"""Forms are read as UTF-8, whatever charset is named, and only as a whole."""

from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from answerback.http.errors import InvalidRequest
from answerback.http.forms import read_form

FIELD = '--x\r\ncontent-disposition: form-data; name="{}"\r\n\r\n{}\r\n--x--\r\n'


def request(content_type: str, body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def fields(content_type: str, body: bytes) -> dict[str, Any]:
    async with read_form(request(content_type, body), max_files=1, max_fields=2) as form:
        return dict(form)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "multipart/form-data; charset=punycode; boundary=x",
        'Multipart/Form-Data; boundary="x"; Charset="utf-7"',
        "multipart/form-data; charset*=punycode''; boundary=x; charset=idna",
    ],
)
async def test_the_charset_that_a_client_names_decodes_nothing(content_type: str) -> None:
    # In punycode, this name is "ümlaut", which takes a time that grows with the square of its length
    body = FIELD.format("mlaut-jva", "grüß+AGE-").encode()

    assert await fields(content_type, body) == {"mlaut-jva": "grüß+AGE-"}


async def test_a_separator_of_any_characters_is_taken() -> None:
    body = FIELD.replace("--x", '--a"b\\c').format("name", "value").encode()

    assert await fields(r'multipart/form-data; boundary="a\"b\\c"; charset=hex', body) == {"name": "value"}


FILE = b'--x\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\none\r\ntwo\r\n--x--\r\n'


@pytest.mark.parametrize("end", range(len(FILE) - len("--\r\n") + 2))
async def test_a_form_is_whole_only_with_its_last_separator(end: int) -> None:
    with pytest.raises(HTTPException, match="before its last separator") as refused:
        await fields("multipart/form-data; boundary=x", FILE[:end])

    assert refused.value.status_code == 400


@pytest.mark.parametrize("behind", [b"", b"\r\n", b"\r\nan epilogue", b"--x\r\n"])
async def test_what_is_behind_the_last_separator_counts_for_nothing(behind: bytes) -> None:
    form = await fields("multipart/form-data; boundary=x", FILE.rstrip() + behind)

    assert list(form) == ["file"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=y"])
async def test_a_form_without_its_separator_is_none(content_type: str) -> None:
    with pytest.raises(HTTPException):
        await fields(content_type, FILE)


async def test_a_field_that_is_given_twice_is_named() -> None:
    field = FIELD.format("runs", "1")
    body = (field.removesuffix("--\r\n") + "\r\n" + field.replace("1", "100").removeprefix("--x\r\n")).encode()

    with pytest.raises(InvalidRequest, match="runs: must not be given twice"):
        await fields("multipart/form-data; boundary=x", body)


@pytest.mark.parametrize(
    ("content_type", "body", "wanted"),
    [
        ("multipart/form-data", FILE, "leave that header to your client"),
        ("multipart/form-data; boundary=x", FILE.replace(b"--x--\r\n", b"") + FILE, "too many files: send 1"),
        (
            "multipart/form-data; boundary=x",
            b"".join(FIELD.format(name, "1").encode().replace(b"--x--\r\n", b"") for name in "abc"),
            "too many fields: send at most 2",
        ),
    ],
)
async def test_a_refusal_says_what_to_send(content_type: str, body: bytes, wanted: str) -> None:
    with pytest.raises(HTTPException, match=wanted):
        await fields(content_type, body)
