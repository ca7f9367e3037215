"""Names of keys in Redis."""

from answerback.database.service_secrets import ServiceSecrets

SECRET = "redis-keys"  # noqa: S105 (the name of one)


class Names:
    """Names of keys, made with a secret of the database: services on other databases use other names in the same
    Redis, and no name shows its tenant or conversation."""

    def __init__(self, secrets: ServiceSecrets) -> None:
        self._secrets = secrets

    async def name(self, kind: str, *parts: str) -> str:
        """The key of what `parts` identify. Raises StorageUnavailable."""
        code = await self._secrets.code(SECRET, "\0".join(parts).encode())
        return f"answerback:{kind}:{code.hex()[:32]}"
