"""The caller of a request, for rooms that know nothing of accounts."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request

TenantOf: TypeAlias = Callable[[Request], Awaitable[str]]
"""The id of the tenant whose key a request carries. Raises Unauthorized, RateLimited, StorageUnavailable."""

_OPERATOR = "answerback.operator"


def note_operator(request: Request) -> None:
    """Remembers that an operator sends the request."""
    request.scope[_OPERATOR] = True


def is_operator(request: Request) -> bool:
    """Whether the caller has been identified, and is an operator."""
    return _OPERATOR in request.scope
