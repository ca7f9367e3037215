"""One server for all processes of a test run, started by a keeper process that ends it when the last of them is gone.

Users hold a shared lock on a file; the keeper waits for an exclusive one, which the kernel grants when all users have
ended, however they ended.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

from answerback.testing.backends import BackendUnavailable, PostgresServer, RedisServer
from answerback.testing.backends.backend import Backend
from answerback.testing.backends.rabbit import ManyVhosts

KINDS: dict[str, type[Backend]] = {"postgres": PostgresServer, "redis": RedisServer, "rabbit": ManyVhosts}
UP = "up"


@contextlib.contextmanager
def shared(kind: str, folder: Path) -> Iterator[str]:
    """The URL of the one server of this kind (`KINDS`) for all users of this folder. Raises BackendUnavailable."""
    with (folder / f"{kind}.users").open("a") as users:
        # Waits while a keeper ends its server; from here on no keeper does.
        flock(users, LOCK_SH)
        with (folder / f"{kind}.starting").open("a") as starting:
            flock(starting, LOCK_EX)
            place = folder / f"{kind}.url"
            if not place.exists():
                _start_keeper(kind, folder)
            url = place.read_text()
        yield url


def _start_keeper(kind: str, folder: Path) -> None:
    with (folder / f"{kind}.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "answerback.testing.backends.sharing", kind, folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            # So that the interrupt of a run reaches the tests first.
            start_new_session=True,
        )
    assert keeper.stdout is not None
    with keeper.stdout:
        said = keeper.stdout.readline().decode().rstrip()
        if said != UP:
            said += keeper.stdout.read().decode(errors="replace")
            keeper.wait()
            raise BackendUnavailable(said.rstrip() or f"see {log.name}")
    # The keeper outlives this process, which must not warn that it did not wait for it.
    keeper.returncode = 0


def _keep(kind: str, folder: Path) -> None:
    with (folder / f"{kind}.users").open("a") as users, KINDS[kind].start() as server:
        place = folder / f"{kind}.url"
        place.write_text(server.url)
        _say(UP)
        flock(users, LOCK_EX)
        place.unlink()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        _keep(sys.argv[1], Path(sys.argv[2]))
    except BackendUnavailable as error:
        _say(str(error))
        sys.exit(1)
