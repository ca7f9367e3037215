"""The fleet: API processes, workers, PostgreSQL, a broker and a scripted LLM, each a process, all ended with it."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Self, assert_never
from urllib.parse import urlsplit

from answerback.testing import Service, Worker
from answerback.testing import process as processes
from answerback.testing.backends import PostgresServer, RabbitServer, RedisServer
from answerback.testing.process import Process, inherited
from answerback.testing.service import HOST
from chaos.books import Books
from chaos.link import Link

ROOT = Path(__file__).parent.parent
SECRET = "whsec_bm9ib2R5IGd1ZXNzZXMgdGhpcyBvbmUgZXZlcg=="
APIS = 2
WORKERS = 3
LEASE_SECONDS = 3
START_SECONDS = 120.0
"""Five processes start at a time, on a machine that may be busy with other things."""
STOP_SECONDS = 30.0


class Kind(StrEnum):
    """Which broker wakes the workers."""

    REDIS = "redis"
    RABBITMQ = "rabbitmq"


class Fleet:
    """Two API processes and three workers on fresh servers.

    With `linked`, their connections to the database and to the broker go through `database_link` and `broker_link`.
    """

    def __init__(self, kind: Kind, *, linked: bool = False) -> None:
        self.kind = kind
        self._linked = linked
        self._kept = contextlib.AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.apis: tuple[Service, ...] = ()
        self.workers: tuple[Worker, ...] = ()
        self._shared: dict[str, str] = {}
        self.database: PostgresServer
        self.broker: RedisServer | RabbitServer
        self.books: Books
        self.database_link: Link
        self.broker_link: Link

    @property
    def processes(self) -> tuple[Process, ...]:
        return (*self.apis, *self.workers)

    @property
    def llm_log(self) -> Path:
        """A line of JSON for each call of the LLM."""
        return self.folder / "llm.jsonl"

    async def replace_workers(self, own: Sequence[Mapping[str, str]]) -> None:
        """Other workers in place of its own from now on, each with these settings besides the common ones."""
        usual = self.workers
        self.workers = tuple(self._worker({**self._shared, **each}, f"other-{n}") for n, each in enumerate(own))
        for worker in self.workers:
            self._kept.push_async_callback(_end, worker)
        await asyncio.gather(
            *(worker.terminate(STOP_SECONDS) for worker in usual), *(worker.start() for worker in self.workers)
        )

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._kept.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kept.aclose()

    async def _start(self) -> None:
        llm_url, self.database, self.broker = await asyncio.gather(
            self._start_llm(), asyncio.to_thread(PostgresServer.start), asyncio.to_thread(self._start_broker)
        )
        self._kept.callback(self.database.stop)
        self._kept.callback(self.broker.stop)
        self.books = Books(self.database.url)
        shared = self._shared = {**await self._urls(), "OPENROUTER_BASE_URL": llm_url, **_QUICK}
        await self._migrate(shared)
        self.apis = tuple(
            Service(shared, folder=self._folder(f"api-{n}"), role="api", timeout=START_SECONDS) for n in range(APIS)
        )
        self.workers = tuple(self._worker(shared, f"worker-{n}") for n in range(WORKERS))
        for process in self.processes:
            self._kept.push_async_callback(_end, process)
        await asyncio.gather(*(process.start() for process in self.processes))

    def _worker(self, settings: Mapping[str, str], name: str) -> Worker:
        return Worker(settings, folder=self._folder(name), timeout=START_SECONDS)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _start_broker(self) -> RedisServer | RabbitServer:
        match self.kind:
            case Kind.REDIS:
                return RedisServer.start()
            case Kind.RABBITMQ:
                return RabbitServer.start()
            case _:
                assert_never(self.kind)

    async def _urls(self) -> dict[str, str]:
        database, broker = self.database.url, self.broker.url
        if self._linked:
            self.database_link = await self._kept.enter_async_context(Link(self.database.port))
            self.broker_link = await self._kept.enter_async_context(Link(self.broker.port))
            database = _through(self.database_link, database)
            broker = _through(self.broker_link, broker)
        urls = {"DATABASE_URL": database, "CELERY_BROKER_URL": broker}
        if self.kind is Kind.REDIS:
            urls["REDIS_URL"] = urlsplit(broker)._replace(path="/1").geturl()
        return urls

    async def _migrate(self, settings: Mapping[str, str]) -> None:
        migrating = await processes.spawn(("answerback", "migrate"), self.folder, {**inherited(), **settings})
        assert migrating.stdout is not None
        said = await migrating.stdout.read()
        if await migrating.wait() != 0:
            raise RuntimeError(f"the database could not be migrated: {said.decode()}")

    async def _start_llm(self) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chaos.llm", "--log", str(self.llm_log)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        self._kept.push_async_callback(_end_llm, process)
        assert process.stdout is not None
        return (await process.stdout.readline()).decode().split()[-1]


_QUICK = {
    "CALLBACK_HMAC_SECRET": SECRET,
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "RATE_LIMIT": "0",
    "CONVERSATION_MAX_PENDING": "100000",
    "APP_HOST": HOST,
}


def _through(link: Link, url: str) -> str:
    parts = urlsplit(url)
    netloc = f"{parts.netloc.rpartition(':')[0]}:{link.port}"
    return parts._replace(netloc=netloc).geturl()


async def _end(process: Process) -> None:
    with contextlib.suppress(Exception):
        await process.kill()


async def _end_llm(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
