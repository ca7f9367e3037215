"""What processes share through Redis, or keep for themselves without it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerback.accounts.ports import Rates
from answerback.accounts.ratelimit import MovingWindows
from answerback.conversations.memory import DatabaseWindows
from answerback.conversations.ports import Windows
from answerback.jobs.store import SqlStore
from answerback.kernel.log import Log
from answerback.kernel.retry import DAY
from answerback.kernel.telemetry import Metrics
from answerback.settings import Settings, SettingsError

if TYPE_CHECKING:
    from answerback.redis.link import Link


@dataclass(frozen=True, slots=True)
class Sharing:
    """Counts of requests and windows of conversations; `link` is None without Redis."""

    rates: Rates
    windows: Windows
    link: "Link | None" = None

    def start(self) -> None:
        if self.link is not None:
            self.link.start()

    async def close(self) -> None:
        if self.link is not None:
            await self.link.close()


def make_sharing(settings: Settings, store: SqlStore, log: Log, metrics: Metrics) -> Sharing:
    """Raises SettingsError."""
    here, database = MovingWindows(), DatabaseWindows(store, settings.memory)
    if settings.redis_url is None:
        return Sharing(here, database)
    try:
        # Not at the top: the client is an extra.
        from answerback.accounts.shared_rates import SharedRates
        from answerback.conversations.shared_windows import SharedWindows
        from answerback.redis.link import Link
        from answerback.redis.names import Names
    except ModuleNotFoundError as error:
        raise SettingsError("REDIS_URL needs Redis's client: pip install 'answerback[redis]'") from error
    link, names = Link(settings.redis_url.get_secret_value(), log, metrics), Names(store)
    windows = SharedWindows(link, names, store, settings.memory, settings.retention_days * DAY, database)
    return Sharing(SharedRates(link, names, here), windows, link)
