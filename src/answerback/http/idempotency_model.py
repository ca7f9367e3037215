"""A call that its caller names with a key, so that sending it again does nothing twice."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """`key` is the caller's, and names this call among the tenant's at one door. `request_hash` tells two requests
    apart by what they ask."""

    tenant_id: str
    door: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class ClaimedRecord:
    """A call that is whoever's who holds its `token` to answer; nobody else was ever given the same one."""

    call: IdempotentRequest
    token: str


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it was sent the first time; its length is left to whoever sends it again."""

    status: int
    headers: Mapping[str, str]
    body: bytes
