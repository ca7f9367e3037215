"""The private servers themselves: they come up, die at once, come back with what was on disk, and leave nothing."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from fcntl import LOCK_EX, flock
from pathlib import Path

import asyncpg
import pytest
import redis
from celery import Celery
from kombu import Connection

from answerback.testing.backends import BackendUnavailable, PostgresServer, RabbitServer, RedisServer
from answerback.testing.backends.backend import Backend
from answerback.testing.backends.postgres import create_database, drop_database
from answerback.testing.backends.tree import descendants
from servers import REQUIRED, private, server_of_the_run

pytestmark = pytest.mark.starts_processes


def alive(pid: int) -> bool:
    """Whether it runs; who is dead may still wait for its parent to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes(server: Backend) -> set[int]:
    return {server.pid, *descendants(server.pid)}


def segments() -> set[str]:
    """The identifiers of System V's shared memory."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


async def rows(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def test_postgres_keeps_what_was_committed_when_killed() -> None:
    with private(PostgresServer) as server:
        database = create_database(server.url, "kept")
        await rows(database, "CREATE TABLE things (name text)")
        await rows(database, "INSERT INTO things VALUES ('a thing')")

        server.kill()
        with pytest.raises(ConnectionRefusedError):
            await rows(database, "SELECT 1")
        server.restart()

        assert [row["name"] for row in await rows(database, "SELECT name FROM things")] == ["a thing"]


async def test_databases_are_dropped_although_clients_use_them(postgres_server: str) -> None:
    database = create_database(postgres_server, "short_lived")
    connection = await asyncpg.connect(database)

    drop_database(postgres_server, "short_lived")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.execute("SELECT 1")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(database)
    await connection.close()


def test_redis_dies_and_comes_back_empty_on_its_port() -> None:
    with private(RedisServer) as server:
        client = redis.Redis.from_url(server.url)
        client.set("a", "b")

        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.restart()

        assert client.dbsize() == 0
        client.close()


def test_rabbit_keeps_what_is_durable_when_killed_and_leaves_nothing_behind() -> None:
    with private(RabbitServer) as server:
        with (
            # Confirmed means: on disk.
            Connection(server.url, transport_options={"confirm_publish": True}) as connection,
            connection.SimpleQueue("kept") as queue,
        ):
            queue.put("a message")

        killed = processes(server)
        server.kill()
        assert not any(map(alive, killed))
        server.restart()

        with Connection(server.url) as connection, connection.SimpleQueue("kept") as queue:
            assert queue.get(timeout=20).payload == "a message"
        stopped = processes(server)

    assert not any(map(alive, stopped))
    assert not server.folder.exists()


@pytest.mark.parametrize("kind", [PostgresServer, RedisServer])
@pytest.mark.parametrize("how", [Backend.stop, Backend.kill])
def test_nothing_is_left_behind(kind: type[Backend], how: Callable[[Backend], None]) -> None:
    with private(kind) as server:
        ended, own = processes(server), segment_of(server)
        assert own <= segments()
        how(server)
        assert not any(map(alive, ended))

    assert not server.folder.exists()
    assert not own & segments()


def segment_of(server: Backend) -> set[str]:
    """The one that PostgreSQL holds; other servers hold none."""
    if not isinstance(server, PostgresServer):
        return set()
    return {(server.folder / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]}


def test_one_server_serves_a_run_and_ends_with_its_last_user(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from answerback.testing.backends.sharing import shared

        with shared("redis", Path(sys.argv[1])) as url:
            print(url, flush=True)
            sys.stdin.read()
    """)
    pipe = subprocess.PIPE
    users = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path], stdin=pipe, stdout=pipe, text=True) for _ in range(3)
    ]
    urls = {user.stdout.readline().strip() for user in users if user.stdout is not None}
    assert len(urls) == 1
    with redis.Redis.from_url(urls.pop()) as client:
        for user in users[:2]:
            user.communicate("")
        assert client.ping()

        # The last one goes without a word.
        users[2].kill()
        users[2].communicate()
        with pytest.raises((redis.ConnectionError, ConnectionError)):
            client.blpop(["nothing comes"], timeout=20)
    with (tmp_path / "redis.users").open("a") as users_file:
        # The keeper's, until it has put everything away.
        flock(users_file, LOCK_EX)
    assert not (tmp_path / "redis.url").exists()


def test_a_server_that_cannot_be_had_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(BackendUnavailable, match=r"^`redis-server` is not installed: apt-get install redis-server$"):
        RedisServer.start()


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_what_lacks_its_server_is_skipped_or_fails_where_it_must_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv(REQUIRED, required)

    with pytest.raises(outcome, match="apt-get install redis-server"):
        next(server_of_the_run("NO_SUCH_VARIABLE", "redis", tmp_path))


def test_the_brokers_of_tests_are_empty_vhosts(rabbitmq_url: str) -> None:
    app = Celery(broker=rabbitmq_url)
    with app.connection_for_write() as connection, connection.SimpleQueue("celery") as queue:
        assert queue.qsize() == 0
