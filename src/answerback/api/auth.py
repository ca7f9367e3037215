"""Who is calling: each key is a tenant."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from starlette.requests import Request

from answerback.domain.errors import Unauthorized
from answerback.ports import Clock, Store

DEFAULT_TENANT = "default"
"""The operator's own: whoever holds AUTH_TOKEN, and everyone where no key is asked for."""

FRESH_SECONDS = 1.0
"""How long a revoked key may still open the door."""


def new_key() -> str:
    """A fresh API key, shown once: 256 bits from the system's randomness."""
    return "ab_" + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is kept of a key: SHA-256 in hex, enough for a key of 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Authenticator:
    """Knows the live keys. Where none was ever made, and with `disabled`, everyone is the default tenant."""

    def __init__(self, store: Store, token: str | None, disabled: bool, clock: Clock) -> None:
        self._store = store
        self._token_hash = hash_key(token) if token else None
        self._disabled = disabled
        self._clock = clock
        self._tenants: Mapping[str, str] = {}
        self._open = False
        self._fresh_until = float("-inf")

    async def tenant(self, request: Request) -> str:
        """The caller's tenant id. Raises Unauthorized, StorageUnavailable."""
        if self._disabled:
            return DEFAULT_TENANT
        await self._refresh()
        if self._open:
            return DEFAULT_TENANT
        given = request.headers.get("authorization", "").strip()
        scheme, _, rest = given.partition(" ")
        key = rest.strip() if scheme.lower() == "bearer" else given
        if not key:
            raise Unauthorized("this service asks for a key; send it as 'Authorization: Bearer <key>'")
        presented = hash_key(key)
        tenant = None
        # Every hash is compared, each in constant time: the time taken tells nothing about any of them.
        for key_hash, owner in self._tenants.items():
            if hmac.compare_digest(key_hash, presented):
                tenant = owner
        if tenant is None:
            raise Unauthorized("this key is not valid; check it, or ask the operator for a new one")
        return tenant

    async def _refresh(self) -> None:
        if self._clock.monotonic() < self._fresh_until:
            return
        made = await self._store.list_keys()
        keys = {key.key_hash: key.id for key in made if key.revoked_at is None}
        if self._token_hash is not None:
            keys[self._token_hash] = DEFAULT_TENANT
        self._tenants = keys
        # Revoking the last key must not let in the very caller it was meant to keep out.
        self._open = not made and self._token_hash is None
        self._fresh_until = self._clock.monotonic() + FRESH_SECONDS
