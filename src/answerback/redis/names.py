"""Names of keys in Redis."""

import hashlib
import hmac

from answerback.jobs.ports import Store

SECRET = "redis-keys"  # noqa: S105 (the name of one)


class Names:
    """Names that only the processes on one database know: another database's on the same Redis are others, and none
    tells whose it is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._secret: bytes | None = None

    async def name(self, kind: str, *parts: str) -> str:
        """The key of what `parts` name. Raises StorageUnavailable."""
        if self._secret is None:
            self._secret = bytes.fromhex(await self._store.own_secret(SECRET))
        named = "\0".join(parts).encode()
        return f"answerback:{kind}:{hmac.digest(self._secret, named, hashlib.sha256).hex()[:32]}"
