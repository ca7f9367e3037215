"""What a big tenant has waiting in a database before a small one comes: made by the service itself, at full speed."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from answerback.testing.ports import HOST
from bench.stage import JOBS_SECONDS, Stage
from bench.systems import BEARER, answerback
from bench.tools import BenchError, load, until

CLIENTS = 64
REFUSING = f"http://{HOST}:1/"
"""Nothing listens on the first port."""
Fill: TypeAlias = Callable[[Stage, str, int], None]
"""Leaves so much waiting in the database at that URL."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, and how many times as late the slowest hundredth of another tenant's messages may end beside it."""

    name: str
    fill: Fill
    waiting: str
    """Counts what is left of it."""
    most: float = 1.1

    def left(self, database_url: str) -> int:
        return _execute(database_url, self.waiting) or 0


def batch_jobs(stage: Stage, database_url: str, count: int) -> None:
    """No kind of the service is of the batch queue yet: messages are accepted where nothing works, and moved there."""
    with answerback(stage.upstream, role="api", database_url=database_url) as accepting:
        _post(accepting.port, stage.upstream.callback_url, count)
    _execute(database_url, "UPDATE jobs SET queue = 'batch' WHERE state = 'queued'")
    if not database_url.startswith("sqlite"):
        # Jobs that were of that queue from the beginning would have left nothing dead in the other's index.
        _execute(database_url, "VACUUM jobs")


def dead_receiver(stage: Stage, database_url: str, count: int) -> None:
    """Of jobs that are answered. One that hangs would be called less often."""
    with answerback(stage.upstream, database_url=database_url) as working:
        _post(working.port, REFUSING, count)
        until(lambda: _execute(database_url, OPEN_JOBS) == 0, JOBS_SECONDS, "the last answer")


OPEN_JOBS = "SELECT count(*) FROM jobs WHERE finished_at IS NULL"
PENDING = "SELECT count(*) FROM deliveries WHERE state = 'pending'"
BACKLOGS = (
    Backlog("batch jobs", batch_jobs, OPEN_JOBS),
    Backlog("callbacks for a dead receiver", dead_receiver, PENDING),
)


def _post(port: int, callback_url: str, count: int) -> None:
    body = json.dumps({"message": "Hello", "session_id": "UUUUUUUUUUUU", "callback_url": callback_url})
    sent = load(
        *(port, "/webhook", body),
        connections=CLIENTS,
        seconds=JOBS_SECONDS,
        warm_up=0,
        requests=count,
        headers=BEARER,
    )
    if sent.failed:
        raise BenchError(f"{sent.failed} of {count} messages of a backlog were refused")


def _execute(database_url: str, sql: str) -> int | None:
    """The number that it answers, if it does."""
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=30.0) as file:
            row = file.execute(sql).fetchone()
        file.close()
        return None if row is None else int(row[0])
    return asyncio.run(_on_postgres(database_url, sql))


async def _on_postgres(database_url: str, sql: str) -> int | None:
    connection = await asyncpg.connect(database_url)
    try:
        found: int | None = await connection.fetchval(sql)
        return found
    finally:
        await connection.close()
