"""The authenticator, and the secrets that sign what tenants receive."""

from pydantic import SecretStr

from answerback.accounts.auth import Authenticator
from answerback.accounts.key_use import KeyUses
from answerback.accounts.model import DEFAULT_TENANT
from answerback.accounts.ratelimit import RateLimiter, Rates
from answerback.accounts.store import AccountStore
from answerback.database.operation import Database
from answerback.kernel.clock import Clock
from answerback.settings import Settings
from answerback.webhooks.signing.secrets import SigningSecrets


def make_authenticator(
    settings: Settings, store: AccountStore, rates: Rates, clock: Clock, uses: KeyUses
) -> Authenticator:
    return Authenticator(
        store,
        RateLimiter(rates, settings.rate),
        clock,
        uses,
        token=_text(settings.auth_token),
        operator_token=_text(settings.operator_token),
        disabled=settings.auth_disabled,
        hosts=settings.hosts,
        proxies=settings.trusted_proxies,
    )


def make_signing_secrets(settings: Settings, database: Database) -> SigningSecrets:
    """The secrets of all tenants; CALLBACK_HMAC_SECRET is the default tenant's."""
    configured = _text(settings.callback_hmac_secret)
    return SigningSecrets(database, {} if configured is None else {DEFAULT_TENANT: configured})


def _text(setting: SecretStr | None) -> str | None:
    return None if setting is None else setting.get_secret_value()
