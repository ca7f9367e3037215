"""Tenants, the keys that open the service for them, and callers."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from answerback.kernel.rate import Rate

DEFAULT_TENANT = "default"
"""The tenant of AUTH_TOKEN and OPERATOR_TOKEN, and of every caller where no key is asked for. It needs no row."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: only its hash. `operator`: it may manage keys and list every tenant's jobs. `rate_limit`
    is written like the setting RATE_LIMIT, None for that setting's. `weight` is its tenant's. Times are epoch
    milliseconds; `last_used_at` may be a minute old, `revoked_at` is None while the key is valid."""

    id: str
    tenant_id: str
    name: str
    key_hash: str
    operator: bool
    rate_limit: str | None
    weight: int
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys, the newest first. `following` goes into `before` for older ones, None where there are none."""

    keys: Sequence[ApiKey]
    following: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. `key_id` and `key_name` are None where no key is asked for; `rate` limits the caller's
    requests, None for no limit."""

    tenant_id: str
    key_id: str | None
    operator: bool
    rate: Rate | None
    key_name: str | None = None


def new_key() -> str:
    """A fresh API key, shown once: 256 bits from the system's randomness."""
    return "ab_" + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is stored of a key: SHA-256 in hex, enough for a key of 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def key_name(text: str) -> str:
    """A name for a key, as given. Raises ValueError, which says what a name must be."""
    if not text.strip() or not text.isprintable() or len(text) > MAX_NAME:
        raise ValueError(f"must be printable text of at most {MAX_NAME} characters")
    return text


MAX_NAME = 200
