"""What several processes on one database need: hints to each other, the Celery application."""

from typing import TYPE_CHECKING

from answerback.engines.embedded import EmbeddedEngine
from answerback.engines.hints import ProcessHints, SharedHints
from answerback.engines.publishing import Publisher
from answerback.ports import Hints, Log
from answerback.settings import Settings, SettingsError
from answerback.telemetry import Metrics

if TYPE_CHECKING:
    from answerback.engines.celery_worker import HintedApp, Work


def make_publisher(settings: Settings, log: Log, metrics: Metrics) -> Publisher | None:
    """None without a broker. Raises SettingsError."""
    if settings.celery_broker_url is None:
        return None
    try:
        # Not at the top: Celery is an extra.
        from answerback.engines.broker import CeleryBroker
    except ModuleNotFoundError as error:
        raise _not_installed() from error
    return Publisher(CeleryBroker(settings.celery_broker_url.get_secret_value()), log, metrics)


def make_celery_app(settings: Settings, work: "Work", log: Log) -> "HintedApp":
    """Raises SettingsError."""
    if settings.celery_broker_url is None:
        raise SettingsError("CELERY_BROKER_URL is not set: name a broker, or run 'answerback worker', which then polls")
    try:
        from answerback.engines.celery_worker import HintedApp
    except ModuleNotFoundError as error:
        raise _not_installed() from error
    return HintedApp(settings.celery_broker_url.get_secret_value(), work, log)


def _not_installed() -> SettingsError:
    return SettingsError("CELERY_BROKER_URL needs Celery: pip install 'answerback[celery]'")


def hints_at_doors(here: ProcessHints, engine: EmbeddedEngine | None, publisher: Publisher | None) -> Hints:
    """A process that works itself calls on others for what it has no room for; one that does not, for everything."""
    if publisher is None:
        return here
    return publisher if engine is None else SharedHints(here, publisher, engine.full)
