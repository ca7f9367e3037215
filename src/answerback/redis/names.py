"""Names of keys in Redis."""

import hashlib
import hmac

from answerback.database.service_secrets import ServiceSecrets

SECRET = "redis-keys"  # noqa: S105 (the name of one)


class Names:
    """Names of keys, made with a secret of the database: services on other databases use other names in the same
    Redis, and no name shows its tenant or conversation."""

    def __init__(self, secrets: ServiceSecrets) -> None:
        self._secrets = secrets
        self._secret: bytes | None = None

    async def name(self, kind: str, *parts: str) -> str:
        """The key of what `parts` identify. Raises StorageUnavailable."""
        if self._secret is None:
            self._secret = bytes.fromhex(await self._secrets.own_secret(SECRET))
        message = "\0".join(parts).encode()
        return f"answerback:{kind}:{hmac.digest(self._secret, message, hashlib.sha256).hex()[:32]}"
