"""The secrets by which `answerback listen` verifies callbacks."""

from collections.abc import Mapping, Sequence

from answerback.accounts.model import DEFAULT_TENANT
from answerback.cli.stores import opened
from answerback.kernel.errors import NotFound, StorageUnavailable
from answerback.settings import Settings
from answerback.testing.signatures import InvalidSignatureError, verify


class SecretUnknown(Exception):
    """No secret can be found; the message says why and what to do."""


class KnownSecrets:
    """The secret that was given, else the one that the settings fix, else the tenant's in the database. That is looked
    up at the first callback, since the service may make it after the receiver has started; and again where a signature
    does not match, since it may have been rotated."""

    def __init__(self, settings: Settings, given: str | None = None, key: str | None = None) -> None:
        """`key` is a key's name or id, or a tenant's id; None stands for the default tenant."""
        self._settings = settings
        self._key = key
        if given is None and key is None and settings.callback_hmac_secret is not None:
            given = settings.callback_hmac_secret.get_secret_value()
        self._fixed = given is not None
        self._secrets: Sequence[str] = [] if given is None else [given]

    async def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises InvalidSignatureError, SecretUnknown."""
        if self._secrets:
            try:
                verify(headers, body, self._secrets)
            except InvalidSignatureError:
                if self._fixed:
                    raise
            else:
                return
        self._secrets = await self._find()
        verify(headers, body, self._secrets)

    async def _find(self) -> Sequence[str]:
        path = self._settings.database_path
        # Opening it would make it.
        if path is not None and not path.exists():
            raise SecretUnknown(f"no database at {path.resolve()}: run this in the service's folder, or give --secret")
        try:
            async with opened(self._settings) as stores:
                tenant_id = DEFAULT_TENANT if self._key is None else await stores.accounts.find_tenant(self._key)
                return [secret.value for secret in await stores.secrets.live_secrets(tenant_id)]
        except (StorageUnavailable, NotFound) as error:
            raise SecretUnknown(str(error)) from None
