"""The world around a service under test: a client that does not give up, and looking inside."""

import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp

from answerback.queue.attempts import KEPT_FIRST, KEPT_LAST
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Callback, Receiver
from answerback.testing.service import HOST, INHERITED, Service
from eventually import PATIENCE
from surroundings import SECRET


def settings(llm: FakeLLM, **changes: object) -> dict[str, str]:
    """A service that asks this LLM and recovers fast. `lease_seconds=60` becomes `LEASE_SECONDS=60`."""
    chosen: dict[str, object] = {
        "openrouter_base_url": llm.base_url,
        "callback_hmac_secret": SECRET,
        "callback_backoff_seconds": 0.1,
        "lease_seconds": 1,
        "rate_limit": "1000000/minute",
        **changes,
    }
    return {name.upper(): str(value) for name, value in chosen.items()}


class Pulse:
    """Counts what happens, and lets one wait for more of it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._waiting: list[tuple[str, int, asyncio.Future[None]]] = []

    def beat(self, kind: str) -> None:
        self.counts[kind] += 1
        for waited, count, future in self._waiting:
            if waited == kind and self.counts[kind] >= count and not future.done():
                future.set_result(None)

    async def further(self, kind: str, n: int, patience: float = PATIENCE) -> None:
        """Waits until this kind has happened `n` times more. Raises TimeoutError."""
        await self.reach(kind, self.counts[kind] + n, patience)

    async def reach(self, kind: str, count: int, patience: float = PATIENCE) -> None:
        """Waits until this kind has happened `count` times in all. Raises TimeoutError."""
        if self.counts[kind] >= count:
            return
        future = asyncio.get_running_loop().create_future()
        waiter = (kind, count, future)
        self._waiting.append(waiter)
        try:
            await asyncio.wait_for(future, patience)
        except TimeoutError:
            raise TimeoutError(f"{self.counts[kind]} of {count} {kind} within {patience:g} s") from None
        finally:
            self._waiting.remove(waiter)


class Client:
    """A client of one service, through any number of its lives.

    `up` is for a test that kills the service: while it is clear, a client that lost its connection waits.
    """

    def __init__(self, service: Service, receiver: Receiver) -> None:
        self._service = service
        self._receiver = receiver
        self._session: aiohttp.ClientSession | None = None
        self.up = asyncio.Event()
        self.up.set()
        self.lost = 0
        """How many requests ended without an answer."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(
        self, text: str, *, session: str | None = "s", key: str | None = None, url: str | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Posts a message once, a stateless one without `session`: status, body and headers of the answer."""
        assert self._session is not None
        body = {"message": text, "callback_url": url or self._receiver.url(f"/{session or 'stateless'}")}
        body |= {"session_id": session} if session else {"stateless": True}
        headers = {"Idempotency-Key": key} if key else {}
        async with self._session.post(self._service.url + "/webhook", json=body, headers=headers) as response:
            return response.status, await response.json(), response.headers

    async def accepted(self, text: str, **changes: Any) -> Any:
        """Posts a message once and returns the body of its 202."""
        status, body, _ = await self.post(text, **changes)
        assert status == 202, (status, body)
        return body

    async def insist(self, text: str, session: str, key: str) -> Any:
        """Posts a message again and again until its 202 is heard; returns that body."""
        while True:
            await self.up.wait()
            try:
                return await self.accepted(text, session=session, key=key)
            except (aiohttp.ClientError, ConnectionError):
                self.lost += 1

    async def get(self, path: str) -> Any:
        assert self._session is not None
        async with self._session.get(self._service.url + path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def jobs(self) -> list[Any]:
        """Every job that `GET /v1/jobs` shows, newest first."""
        page = await self.get("/v1/jobs?limit=100")
        items: list[Any] = page["items"]
        while page["next"] is not None:
            page = await self.get(f"/v1/jobs?limit=100&before={page['next']}")
            items += page["items"]
        return items


@contextlib.contextmanager
def opened(database: Path) -> Any:
    """The file as anybody could open it, in autocommit."""
    connection = sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def select(database: Path, sql: str, *parameters: object) -> list[dict[str, Any]]:
    with opened(database) as connection:
        return [dict(row) for row in connection.execute(sql, parameters)]


def attempts_of(database: Path, row_id: str) -> list[str]:
    """How each ended attempt of a job or a delivery ended."""
    return [attempt["status"] for attempt in attempts(database) if attempt["of"] == row_id]


def attempts(database: Path) -> list[dict[str, Any]]:
    """Every ended attempt at a job or a delivery, each with the id `of` its row; those of a row in order."""
    rows = select(database, "SELECT id, attempts FROM jobs UNION ALL SELECT id, attempts FROM deliveries")
    return [{"of": row["id"], **attempt} for row in rows for attempt in json.loads(row["attempts"])]


def snapshot(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row that work leaves behind."""
    tables = {
        "jobs": "id",
        "deliveries": "id",
        "conversations": "id",
        "conversation_items": "conversation_id, position",
    }
    return {table: select(database, f"SELECT * FROM {table} ORDER BY {order}") for table, order in tables.items()}


def at_rest(database: Path) -> bool:
    """Whether every job has ended and every callback is delivered."""
    jobs = select(database, "SELECT 1 FROM jobs WHERE finished_at IS NULL LIMIT 1")
    owed = select(database, "SELECT 1 FROM deliveries WHERE state <> 'delivered' LIMIT 1")
    return not jobs and not owed


def sound(database: Path) -> None:
    """Asserts what must be true of any database whose work is done."""
    assert select(database, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert select(database, "PRAGMA foreign_key_check") == []
    assert select(database, "SELECT id, state FROM jobs WHERE finished_at IS NULL") == []
    assert select(database, "SELECT id, state FROM deliveries WHERE state <> 'delivered'") == []
    assert select(database, "SELECT id FROM jobs EXCEPT SELECT job_id FROM deliveries") == []
    assert select(database, "SELECT key, pending FROM conversations WHERE pending <> 0") == []
    for table in ("jobs", "deliveries"):
        for row in select(database, f"SELECT id, attempt, attempts, attempts_made, lease_owner FROM {table}"):
            assert row["lease_owner"] is None, row
            made = json.loads(row["attempts"])
            assert len(made) == min(row["attempts_made"], KEPT_FIRST + KEPT_LAST), row
            epochs = [attempt["epoch"] for attempt in made]
            assert epochs == sorted(set(epochs)), row
            assert all(attempt["started_at"] <= attempt["finished_at"] for attempt in made), row


def logged(service: Service, *events: str) -> list[dict[str, Any]]:
    """The lines of the log with one of these events."""
    found = []
    for line in service.logs.splitlines():
        # A kill may leave half a line.
        with contextlib.suppress(ValueError, TypeError, KeyError):
            entry = json.loads(line)
            if entry["event"] in events:
                found.append(entry)
    return found


def by_id(callbacks: Sequence[Callback]) -> dict[str | None, list[Callback]]:
    """The callbacks of each `webhook-id`, in order of arrival."""
    grouped: dict[str | None, list[Callback]] = {}
    for callback in callbacks:
        grouped.setdefault(callback.id, []).append(callback)
    return grouped


def process_state(pid: int) -> str:
    """`S` sleeping, `R` running, `T` stopped (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.asynccontextmanager
async def attempt_to_serve(folder: Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`answerback serve` with these variables, for starts that are meant to fail."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {"APP_HOST": HOST, "DATABASE_URL": f"sqlite:///{folder / 'other.db'}", "LOG_FORMAT": "json"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "answerback", "serve"),
        cwd=folder,
        env=environment | variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
