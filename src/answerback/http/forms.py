"""Forms. Their texts are UTF-8, whatever charset a client names: decoding some takes a time that the client chooses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.requests import Request

CONTENT_TYPE = b"content-type"


@asynccontextmanager
async def read_form(request: Request, *, max_files: int, max_fields: int) -> AsyncIterator[FormData]:
    """The form's fields, and files that are closed in the end. Raises HTTPException for one that is not well-formed."""
    headers = [
        (name, _without_charset(value) if name == CONTENT_TYPE else value) for name, value in request.scope["headers"]
    ]
    plain = Request({**request.scope, "headers": headers}, request.receive)
    async with plain.form(max_files=max_files, max_fields=max_fields) as fields:
        yield fields


def _without_charset(content_type: bytes) -> bytes:
    media_type, parameters = parse_options_header(content_type)
    separator = parameters.get(b"boundary")
    if separator is None:
        return media_type
    return b'%b; boundary="%b"' % (media_type, separator.replace(b"\\", rb"\\").replace(b'"', rb"\""))
