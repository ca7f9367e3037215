"""How processes on one database wake each other: over a broker, else over PostgreSQL, else not at all; those of one
`serve` also directly."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from answerback.jobs.engine import Engine
from answerback.kernel.instruments import Instruments
from answerback.kernel.log import Log
from answerback.queue.notifier import Notifier, Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.notifiers.remote import Listener, RemoteNotifier, Transport
from answerback.queue.notifiers.spillover import SpilloverNotifier
from answerback.settings import Settings, SettingsError
from answerback.siblings.link import Link

if TYPE_CHECKING:
    from answerback.queue.notifiers.celery_worker import NotifiedApp, Work


@dataclass(frozen=True, slots=True)
class Broker:
    """What carries notifications between processes. `woken_by` is how a worker's log names it.

    `transport` makes what sends them. A worker gets them from what `listener` makes, or runs inside the Celery
    application that `app` makes.
    """

    woken_by: str
    transport: Callable[[], Transport] | None = None
    listener: Callable[[Callable[[Topic], None], Instruments], Listener] | None = None
    app: "Callable[[Work, Log], NotifiedApp] | None" = None


@dataclass(frozen=True, slots=True)
class Notifiers:
    """`remote` is None where this process wakes no other one, `listener` where none wakes it over PostgreSQL."""

    notifier: Notifier
    remote: RemoteNotifier | None = None
    listener: Listener | None = None

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
    settings: Settings,
    local: LocalNotifier,
    engine: Engine | None,
    instruments: Instruments,
    siblings: Link | None,
    *,
    serves: bool,
) -> Notifiers:
    """A process that only serves notifies others of everything, one that also works of what it has no room for.

    Raises SettingsError.
    """
    made = _over_broker(settings, local, engine, instruments, serves=serves)
    if siblings is None or engine is None:
        return made
    siblings.on_wake = lambda topic: local.wake(Topic(topic))
    siblings.on_cancelled = local.job_cancelled
    return replace(made, notifier=SpilloverNotifier(made.notifier, siblings, engine.full))


def _over_broker(
    settings: Settings, local: LocalNotifier, engine: Engine | None, instruments: Instruments, *, serves: bool
) -> Notifiers:
    broker = choose_broker(settings)
    listener = broker.listener(local.wake, instruments) if broker.listener and engine is not None else None
    remote = RemoteNotifier(broker.transport(), instruments) if broker.transport and serves else None
    if remote is None:
        return Notifiers(local, listener=listener)
    return Notifiers(remote if engine is None else SpilloverNotifier(local, remote, engine.full), remote, listener)


def choose_broker(settings: Settings) -> Broker:
    """Raises SettingsError where the chosen one is not installed."""
    if settings.celery_broker_url is not None:
        return _celery(settings.celery_broker_url.get_secret_value())
    if settings.database_path is None:
        return _postgres(settings.postgres_dsn)
    return Broker(woken_by="polling")


def _celery(url: str) -> Broker:
    try:
        # Not at the top: Celery is an extra.
        from answerback.queue.notifiers.celery_broker import CeleryBroker
    except ModuleNotFoundError as error:
        raise SettingsError("CELERY_BROKER_URL needs Celery: pip install 'answerback[celery]'") from error

    def app(work: "Work", log: Log) -> "NotifiedApp":
        # Not with the other: processes that only send need no Celery worker.
        from answerback.queue.notifiers.celery_worker import NotifiedApp

        return NotifiedApp(url, work, log)

    return Broker(woken_by="messages and polling", transport=partial(CeleryBroker, url), app=app)


def _postgres(dsn: str) -> Broker:
    # Not at the top: asyncpg is an extra.
    from answerback.queue.notifiers.postgres import PostgresListener, PostgresTransport

    return Broker(
        woken_by="LISTEN and polling",
        transport=partial(PostgresTransport, dsn),
        listener=partial(PostgresListener, dsn),
    )
