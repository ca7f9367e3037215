"""Forms are read as UTF-8, whatever charset is named."""

from typing import Any

import pytest
from starlette.requests import Request

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


@pytest.mark.parametrize("content_type", ["application/json", "text/plain; charset=punycode", ""])
async def test_another_body_has_no_fields(content_type: str) -> None:
    assert await fields(content_type, b"{}") == {}
