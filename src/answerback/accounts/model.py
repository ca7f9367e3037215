"""Keys and their owners."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A tenant's key without the key. `revoked_at` is epoch milliseconds, None while it is good; `rate_limit` reads
    like the setting, None for the setting's."""

    id: str
    name: str
    key_hash: str
    created_at: int
    revoked_at: int | None
    rate_limit: str | None = None
