"""The caller of a request, for rooms that know nothing of accounts."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from fastapi import Query
from pydantic import AfterValidator
from starlette.requests import Request

from answerback.http.fields import Name
from answerback.kernel.ids import EVERY_TENANT

TenantOf: TypeAlias = Callable[[Request], Awaitable[str]]
"""The id of the tenant whose key a request carries. Raises Unauthorized, RateLimited, StorageUnavailable."""


def _one(tenant: str) -> str:
    if tenant == EVERY_TENANT:
        raise ValueError("must be the id of one, not `*` for all")
    return tenant


AskedTenant = Annotated[
    Annotated[Name, AfterValidator(_one)] | None,
    Query(description="This tenant instead of yours: for operators."),
]
AskedTenantOrAll = Annotated[
    Name | None,
    Query(description="This tenant instead of yours, or with `*` all together: for operators."),
]
AskedTenantOf: TypeAlias = Callable[[Request, str | None], Awaitable[str]]
"""The tenant that an operator asks for, without one the caller's. Raises Forbidden, and as `TenantOf`."""

_OPERATOR = "answerback.operator"


def note_operator(request: Request) -> None:
    """Remembers that an operator sends the request."""
    request.scope[_OPERATOR] = True


def is_operator(request: Request) -> bool:
    """Whether the caller has been identified, and is an operator."""
    return _OPERATOR in request.scope
