"""Servers for tests: those that `TEST_POSTGRES_URL`, `TEST_REDIS_URL` and `TEST_RABBITMQ_URL` name, or private ones.

A private one is started when the first test asks for it, and shared by all processes of the run. A test that kills its
server starts one of its own with `private`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import NoReturn, TypeVar
from uuid import uuid4

import pytest
import redis

from answerback.testing.backends import BackendUnavailable
from answerback.testing.backends.backend import Backend
from answerback.testing.backends.postgres import create_database, drop_database
from answerback.testing.backends.rabbit import VHOSTS
from answerback.testing.backends.sharing import shared

S = TypeVar("S", bound=Backend)

REQUIRED = "ANSWERBACK_REQUIRE_BACKENDS"
"""Set by `.ci/run`: a server that cannot be had fails the tests that need it, instead of skipping them."""

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@contextmanager
def private(kind: type[S]) -> Iterator[S]:
    """A server of one's own, to kill."""
    try:
        server = kind.start()
    except BackendUnavailable as error:
        missing(error)
    with server:
        yield server


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all processes of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> Iterator[str]:
    """The server's URL; its user may create databases."""
    yield from server_of_the_run("TEST_POSTGRES_URL", "postgres", run_folder)


@pytest.fixture(scope="session")
def redis_server(run_folder: Path) -> Iterator[str]:
    """The server's URL."""
    yield from server_of_the_run("TEST_REDIS_URL", "redis", run_folder)


@pytest.fixture(scope="session")
def rabbit_server(run_folder: Path) -> Iterator[str]:
    """The URL of the server's `/`."""
    yield from server_of_the_run("TEST_RABBITMQ_URL", "rabbit", run_folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database, dropped afterwards."""
    name = f"answerback_{uuid4().hex}"
    yield create_database(postgres_server, name)
    drop_database(postgres_server, name)


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """An empty database: that of this worker, from 1 on, flushed before and after."""
    url = f"{redis_server.rpartition('/')[0]}/{WORKER + 1}"
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
        yield url
        connection.flushdb()


@pytest.fixture
def rabbitmq_url(rabbit_server: str, run_folder: Path) -> str:
    """An empty vhost of the private server; the given URL's own, whatever it holds, if there is one."""
    if "TEST_RABBITMQ_URL" in os.environ:
        return rabbit_server
    number = next_of_the_run(run_folder / "rabbit.vhosts")
    assert number < VHOSTS, "every vhost is used up: raise VHOSTS"
    return f"{rabbit_server.removesuffix('/')}test-{number}"


def next_of_the_run(counted: Path) -> int:
    """0, 1 and on, each for one process of the run: the file has a byte for each."""
    with counted.open("ab") as file:
        flock(file, LOCK_EX)
        number = file.seek(0, os.SEEK_END)
        file.write(b".")
    return number


def server_of_the_run(variable: str, kind: str, folder: Path) -> Iterator[str]:
    """The one that the variable names, or a private one that all processes of the run share."""
    if given := os.environ.get(variable):
        yield given
        return
    try:
        with shared(kind, folder) as url:
            yield url
    except BackendUnavailable as error:
        missing(error)


def missing(error: BackendUnavailable) -> NoReturn:
    if os.environ.get(REQUIRED):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))
