"""Bodies that are not what a route takes, by what the client says they are."""

from starlette.requests import Request

from answerback.http.errors import UnsupportedMediaType

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def media_type(request: Request) -> str:
    """The `Content-Type` without its parameters, in lower case; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_form(request: Request, wanted: str) -> None:
    """For a body that is not JSON. Raises UnsupportedMediaType if it is a form; `wanted` says what to send instead."""
    if (given := media_type(request)) in FORMS:
        raise UnsupportedMediaType(f"this route takes JSON, not a form ({given}): {wanted}")


def require_form(request: Request, wanted: str) -> None:
    """Raises UnsupportedMediaType for what is not a form of files."""
    if (given := media_type(request)) != "multipart/form-data":
        raise UnsupportedMediaType(f"this route takes multipart/form-data, not {given or 'an untyped body'}: {wanted}")
