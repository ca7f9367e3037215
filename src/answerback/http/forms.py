"""Forms. Their texts are UTF-8, whatever charset a client names: decoding some takes a time that the client chooses."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from answerback.http.bodies import refuse_duplicates
from answerback.http.codes import BAD_FORM

NOT_WHOLE = "the form ends before its last separator, --…--: what came of it may not be whole, send it again"
NO_SEPARATOR = (
    "the form's Content-Type has no 'boundary=': leave that header to your client, as curl -F does, "
    "or send 'multipart/form-data; boundary=…' with what separates the fields"
)


@asynccontextmanager
async def read_form(request: Request, *, max_files: int, max_fields: int) -> AsyncIterator[FormData]:
    """The fields of a `multipart/form-data`, and files that are closed in the end. Raises HTTPException for one that is
    not well-formed, and InvalidRequest for a field that is given twice."""
    content_type = _without_charset(request.headers["Content-Type"])
    if "boundary=" not in content_type:
        raise HTTPException(BAD_FORM.status, NO_SEPARATOR)
    headers = Headers({"Content-Type": content_type})
    parser = _Parser(headers, request.stream(), max_files=max_files, max_fields=max_fields)
    try:
        fields = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(BAD_FORM.status, error.message) from None
    try:
        refuse_duplicates(name for name, _ in fields.multi_items())
        yield fields
    finally:
        await fields.close()


class _Parser(MultiPartParser):
    """Takes no form without its last separator, whose last file may be half of one."""

    _ended = False

    def on_end(self) -> None:
        self._ended = True

    def on_headers_finished(self) -> None:
        try:
            super().on_headers_finished()
        except MultiPartException:
            if self._current_files > self.max_files:
                raise MultiPartException(f"the form has too many files: send {self.max_files}") from None
            if self._current_fields > self.max_fields:
                raise MultiPartException(f"the form has too many fields: send at most {self.max_fields}") from None
            raise

    async def parse(self) -> FormData:
        self.stream = self._to_its_end(self.stream)
        return await super().parse()

    async def _to_its_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for piece in stream:
            yield piece
        if not self._ended:
            raise MultiPartException(NOT_WHOLE)


def _without_charset(content_type: str) -> str:
    media_type, parameters = parse_options_header(content_type)
    separator = parameters.get(b"boundary")
    if separator is None:
        return media_type.decode("latin-1")
    quoted = separator.replace(b"\\", rb"\\").replace(b'"', rb"\"")
    return (b'%b; boundary="%b"' % (media_type, quoted)).decode("latin-1")
