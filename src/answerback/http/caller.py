"""The tenant of a request, for rooms that know nothing of accounts."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request

TenantOf: TypeAlias = Callable[[Request], Awaitable[str]]
"""The id of the tenant whose key a request carries. Raises Unauthorized, RateLimited, StorageUnavailable."""
