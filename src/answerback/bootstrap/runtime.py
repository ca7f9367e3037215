"""What a process of any role runs on: an event loop, a log, instruments, a database."""

import asyncio
import codecs
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from answerback import observability
from answerback.bootstrap.database import open_database
from answerback.database.operation import Database, Transaction
from answerback.jobs.backlog import Backlog
from answerback.kernel.clock import SystemClock
from answerback.kernel.failpoints import OnFailpoint
from answerback.kernel.instruments import Instruments
from answerback.kernel.log import Log
from answerback.observability.metrics import PrometheusMetrics
from answerback.observability.tracing import make_tracer
from answerback.overview.activity import Activity
from answerback.settings import Settings, SettingsError

CODECS = ("ascii", "idna", "latin-1", "utf-8", "utf-8-sig", "utf-16")
"""What the service and its libraries encode and decode by. Python imports a codec at its first use, which fails where
no descriptor is free."""


SWITCH_SECONDS = 0.0005
"""After how long an event loop that has work in hand lets the database's thread go on, which asks many times for each
group of writes; Python's own is 5 ms (decision 2)."""


@dataclass(frozen=True, slots=True)
class Process:
    """`metrics` are those of the instruments, as they are exposed. `backlog` counts the open jobs that the database
    commits, `activity` how they end."""

    instruments: Instruments
    metrics: PrometheusMetrics
    database: Database
    backlog: Backlog
    activity: Activity


async def open_process(
    settings: Settings, log: Log, models: frozenset[str], failpoint: OnFailpoint, lifetimes: AsyncExitStack
) -> Process:
    """`models` have their own labels in metrics; what it opens is closed by `lifetimes`. Raises StorageUnavailable."""
    for name in CODECS:
        codecs.lookup(name)
    sys.setswitchinterval(SWITCH_SECONDS)
    metrics = PrometheusMetrics(models)
    tracer = make_tracer(os.environ, log)
    lifetimes.push_async_callback(asyncio.to_thread, tracer.close)
    instruments = Instruments(log, SystemClock(), metrics, tracer, failpoint)
    backlog, activity = Backlog(), Activity(instruments.clock.now)

    def committed(transaction: Transaction) -> None:
        backlog.committed(transaction)
        activity.committed(transaction)

    database = await open_database(settings, instruments, committed)
    lifetimes.push_async_callback(database.close)
    return Process(instruments, metrics, database, backlog, activity)


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


def shown_at_start(settings: Settings, provider: str, model: str) -> Mapping[str, object]:
    """What the line of any process says that starts: where its data is, and which LLM answers by default."""
    return {"database": settings.database_shown, "provider": provider, "model": model, "mock": settings.mock}


def refuse(error: Exception) -> int:
    """Says why the process does not start, to its operator; returns the exit code."""
    sys.stderr.write(f"answerback: {error}\n")
    return 2
