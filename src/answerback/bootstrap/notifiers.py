"""What several processes on one database need: notifications to each other, the Celery application."""

from typing import TYPE_CHECKING

from answerback.jobs.engine import EmbeddedEngine
from answerback.kernel.log import Log
from answerback.kernel.telemetry import Metrics
from answerback.queue.notifier import Notifier
from answerback.queue.notifiers.local import LocalNotifier, SpilloverNotifier
from answerback.queue.notifiers.publisher import Publisher
from answerback.settings import Settings, SettingsError

if TYPE_CHECKING:
    from answerback.queue.notifiers.celery_worker import NotifiedApp, Work


def make_publisher(settings: Settings, log: Log, metrics: Metrics) -> Publisher | None:
    """None without a broker. Raises SettingsError."""
    if settings.celery_broker_url is None:
        return None
    try:
        # Not at the top: Celery is an extra.
        from answerback.queue.notifiers.celery_broker import CeleryBroker
    except ModuleNotFoundError as error:
        raise _not_installed() from error
    return Publisher(CeleryBroker(settings.celery_broker_url.get_secret_value()), log, metrics)


def make_celery_app(settings: Settings, work: "Work", log: Log) -> "NotifiedApp":
    """Raises SettingsError."""
    if settings.celery_broker_url is None:
        raise SettingsError("CELERY_BROKER_URL is not set: name a broker, or run 'answerback worker', which then polls")
    try:
        from answerback.queue.notifiers.celery_worker import NotifiedApp
    except ModuleNotFoundError as error:
        raise _not_installed() from error
    return NotifiedApp(settings.celery_broker_url.get_secret_value(), work, log)


def _not_installed() -> SettingsError:
    return SettingsError("CELERY_BROKER_URL needs Celery: pip install 'answerback[celery]'")


def make_notifier(here: LocalNotifier, engine: EmbeddedEngine | None, publisher: Publisher | None) -> Notifier:
    """A process that works itself calls on others for what it has no room for; one that does not, for everything."""
    if publisher is None:
        return here
    return publisher if engine is None else SpilloverNotifier(here, publisher, engine.full)
