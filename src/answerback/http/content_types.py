"""Bodies that are not what a route takes, by what the client says they are."""

from starlette.requests import Request

from answerback.http.client.decoding import COMPRESSIONS
from answerback.http.errors import UnsupportedMediaType

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def media_type(request: Request) -> str:
    """The `Content-Type` without its parameters, in lower case; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_other_than_json(request: Request, wanted: str) -> None:
    """For a body that is not JSON. Raises UnsupportedMediaType if it is compressed, or a form; `wanted` says what to
    send instead."""
    _refuse_compressed(request)
    if (given := media_type(request)) in FORMS:
        raise UnsupportedMediaType(f"this route takes JSON, not a form ({given}): {wanted}")


def require_form(request: Request, wanted: str) -> None:
    """Raises UnsupportedMediaType for what is not a form of files, or is compressed."""
    _refuse_compressed(request)
    if (given := media_type(request)) != "multipart/form-data":
        raise UnsupportedMediaType(f"this route takes multipart/form-data, not {given or 'an untyped body'}: {wanted}")


def _refuse_compressed(request: Request) -> None:
    codings = {each.strip().lower() for each in request.headers.get("content-encoding", "").split(",")}
    if named := sorted(codings & COMPRESSIONS):
        words = f"send the body uncompressed, without 'Content-Encoding: {', '.join(named)}'"
        raise UnsupportedMediaType(f"bodies are not decompressed here: {words}")
