"""What a process of any role runs on: an event loop, and a log."""

import asyncio
import sys

from answerback import observability
from answerback.kernel.log import Log
from answerback.settings import Settings, SettingsError


def loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    """The event loop of this platform."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.Loop


def open_log(settings: Settings) -> Log:
    """Raises SettingsError where `LOGS_DIR` cannot be written to."""
    try:
        return observability.configure(settings.log_level, settings.log_format, logs_dir=settings.logs_dir)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(
            f"LOGS_DIR is {str(settings.logs_dir)!r} but no log can be written there: {reason}"
        ) from error
