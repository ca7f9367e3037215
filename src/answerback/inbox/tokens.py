"""The tokens in the addresses of inboxes."""

import base64
import binascii
import hmac

from answerback.database.service_secrets import ServiceSecrets

SECRET = "inbox-addresses"  # noqa: S105 (the name of one)
MAC_CHARACTERS = 43
"""Of 32 bytes in base64."""


class InboxTokens:
    """One token for each tenant: it holds the tenant's id, and a code of it under a secret that only the database has.
    None is stored, and none can be guessed."""

    def __init__(self, secrets: ServiceSecrets) -> None:
        self._secrets = secrets

    async def token(self, tenant_id: str) -> str:
        """Raises StorageUnavailable."""
        named = tenant_id.encode()
        return _text(await self._secrets.code(SECRET, named)) + _text(named)

    async def tenant_of(self, token: str) -> str | None:
        """None for a token that is nobody's. Raises StorageUnavailable."""
        named = token[MAC_CHARACTERS:]
        try:
            tenant_id = base64.urlsafe_b64decode(named + "=" * (-len(named) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        own = await self.token(tenant_id)
        return tenant_id if hmac.compare_digest(own.encode(), token.encode("utf-8", "replace")) else None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
