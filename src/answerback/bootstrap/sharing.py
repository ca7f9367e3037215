"""What processes share through Redis, or without it with their siblings, or keep for themselves."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from answerback.accounts.ratelimit import MovingWindows, Rates
from answerback.accounts.sibling_rates import SiblingRates
from answerback.bootstrap.stores import Stores
from answerback.conversations.windows import DatabaseWindows, Windows
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import DAY
from answerback.settings import Settings, SettingsError
from answerback.siblings.link import Link


@dataclass(frozen=True, slots=True)
class Sharing:
    """Counts of requests and windows of conversations."""

    rates: Rates
    windows: Windows


def make_sharing(
    settings: Settings, stores: Stores, instruments: Instruments, lifetimes: AsyncExitStack, siblings: Link | None
) -> Sharing:
    """Raises SettingsError."""
    local: Rates = MovingWindows(instruments.clock.monotonic)
    if siblings is not None:
        local = SiblingRates(siblings, local)
    database = DatabaseWindows(stores.conversations)
    if settings.redis_url is None:
        return Sharing(local, database)
    try:
        # Not at the top: the client is an extra.
        from answerback.accounts.shared_rates import SharedRates
        from answerback.conversations.shared_windows import SharedWindows
        from answerback.redis.link import Link
        from answerback.redis.names import Names
    except ModuleNotFoundError as error:
        raise SettingsError("REDIS_URL needs Redis's client: pip install 'answerback[redis]'") from error
    link = Link(settings.redis_url.get_secret_value(), instruments.log, instruments.metrics)
    lifetimes.push_async_callback(link.close)
    link.start()
    names = Names(stores.service_secrets)
    windows = SharedWindows(
        link,
        names,
        stores.conversations,
        database,
        instruments.clock.now,
        ttl_seconds=settings.context_ttl_seconds,
        retention_seconds=settings.retention_days * DAY,
    )
    return Sharing(SharedRates(link, names, local), windows)
