"""The secrets by which `answerback listen` verifies callbacks."""

from collections.abc import Mapping, Sequence

from answerback.cli.stores import opened
from answerback.kernel.errors import NotFound, StorageUnavailable
from answerback.settings import Settings
from answerback.testing.signatures import InvalidSignatureError, verify
from answerback.webhooks.signing.secrets import SigningSecrets


class SecretUnknown(Exception):
    """No secret can be found; the message says why and what to do."""


class KnownSecrets:
    """The secret that was given, or what the service has: the one that the settings fix, and those in the database, of
    one tenant or of all. The database is read at the first callback, since the service may make it after the receiver
    has started; and again where a signature does not match, since a secret may be new."""

    def __init__(self, settings: Settings, given: str | None = None, key: str | None = None) -> None:
        """`key` is a key's name or id, or a tenant's id; None stands for all tenants."""
        self._settings = settings
        self._key = key
        self._given = given
        self._configured = None
        if given is None and key is None and settings.callback_hmac_secret is not None:
            self._configured = settings.callback_hmac_secret.get_secret_value()
        self._secrets: Sequence[str] = [each for each in (given, self._configured) if each is not None]

    @property
    def tried(self) -> str:
        """Which secrets a callback is verified by."""
        if self._given is not None:
            return "the given secret"
        owner = "all tenants" if self._key is None else repr(self._key)
        return f"those of {owner} in {self._settings.database_shown}"

    async def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises InvalidSignatureError, SecretUnknown."""
        if self._secrets:
            try:
                verify(headers, body, self._secrets)
            except InvalidSignatureError:
                if self._given is not None:
                    raise
            else:
                return
        self._secrets = await self._find()
        verify(headers, body, self._secrets)

    async def _find(self) -> Sequence[str]:
        path = self._settings.database_path
        # Opening it would make it.
        if path is not None and not path.exists():
            raise SecretUnknown(f"no database at {path.absolute()}: run this in the service's folder, or give --secret")
        try:
            async with opened(self._settings) as stores:
                signing = SigningSecrets(stores.database)
                if self._key is not None:
                    tenant_id = await stores.accounts.find_tenant(self._key)
                    return [secret.value for secret in await signing.live(tenant_id)]
                found = await signing.all_live()
        except (StorageUnavailable, NotFound) as error:
            raise SecretUnknown(str(error)) from None
        secrets = found if self._configured is None else [self._configured, *found]
        if not secrets:
            raise SecretUnknown(f"no secret in {self._settings.database_shown} yet")
        return secrets
