"""How processes on one database wake each other: over a broker, else over PostgreSQL, else not at all."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerback.jobs.engine import Engine
from answerback.kernel.instruments import Instruments
from answerback.kernel.log import Log
from answerback.queue.notifier import Notifier
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.notifiers.remote import RemoteNotifier
from answerback.queue.notifiers.spillover import SpilloverNotifier
from answerback.settings import Settings, SettingsError

if TYPE_CHECKING:
    from answerback.queue.notifiers.celery_worker import NotifiedApp, Work
    from answerback.queue.notifiers.postgres import PostgresListener


@dataclass(frozen=True, slots=True)
class Notifiers:
    """`remote` is None where this process wakes no other one, `listener` where none wakes it over PostgreSQL."""

    notifier: Notifier
    remote: RemoteNotifier | None = None
    listener: "PostgresListener | None" = None

    def start(self) -> None:
        if self.listener is not None:
            self.listener.start()
        if self.remote is not None:
            self.remote.start()

    async def close(self) -> None:
        if self.listener is not None:
            await self.listener.close()
        if self.remote is not None:
            await asyncio.to_thread(self.remote.close)


def make_notifiers(
    settings: Settings, local: LocalNotifier, engine: Engine | None, instruments: Instruments, *, serves: bool
) -> Notifiers:
    """A process that only serves notifies others of everything, one that also works of what it has no room for.

    Raises SettingsError.
    """
    remote = _make_remote(settings, instruments) if serves else None
    listener = None if engine is None else _make_listener(settings, local, instruments)
    if remote is None:
        return Notifiers(local, listener=listener)
    return Notifiers(remote if engine is None else SpilloverNotifier(local, remote, engine.full), remote, listener)


def _make_remote(settings: Settings, instruments: Instruments) -> RemoteNotifier | None:
    if settings.celery_broker_url is not None:
        try:
            # Not at the top: Celery is an extra.
            from answerback.queue.notifiers.celery_broker import CeleryBroker
        except ModuleNotFoundError as error:
            raise _not_installed() from error
        return RemoteNotifier(CeleryBroker(settings.celery_broker_url.get_secret_value()), instruments)
    if uses_listen(settings):
        # Not at the top: asyncpg is an extra.
        from answerback.queue.notifiers.postgres import PostgresTransport

        return RemoteNotifier(PostgresTransport(settings.postgres_dsn), instruments)
    return None


def _make_listener(settings: Settings, local: LocalNotifier, instruments: Instruments) -> "PostgresListener | None":
    if not uses_listen(settings):
        return None
    from answerback.queue.notifiers.postgres import PostgresListener

    return PostgresListener(settings.postgres_dsn, local.wake, instruments)


def uses_listen(settings: Settings) -> bool:
    """Whether processes wake each other with PostgreSQL's LISTEN and NOTIFY."""
    return settings.celery_broker_url is None and settings.database_path is None


def make_celery_app(settings: Settings, work: "Work", log: Log) -> "NotifiedApp":
    """Raises SettingsError."""
    if settings.celery_broker_url is None:
        raise SettingsError("CELERY_BROKER_URL is not set: name a broker, or run 'answerback worker', which needs none")
    try:
        from answerback.queue.notifiers.celery_worker import NotifiedApp
    except ModuleNotFoundError as error:
        raise _not_installed() from error
    return NotifiedApp(settings.celery_broker_url.get_secret_value(), work, log)


def _not_installed() -> SettingsError:
    return SettingsError("CELERY_BROKER_URL needs Celery: pip install 'answerback[celery]'")
