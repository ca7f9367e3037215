"""A process that tests fork is as one that `python -m` starts, but for what it has imported already."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forks
from answerback.testing.process import Child, inherited, spawn
from forks import Forks

pytestmark = pytest.mark.starts_processes

STAND_IN = """
import atexit, gc, json, os, signal, sys, threading
atexit.register(print, "bye")
if sys.argv[1:] == ["asleep"]:
    print("up", flush=True)
    signal.pause()
print(json.dumps({
    "name": __name__, "file": __file__, "arguments": sys.argv, "path": sys.path[0], "folder": os.getcwd(),
    "environment": dict(os.environ), "files": len(os.listdir("/proc/self/fd")), "stdin": os.readlink("/proc/self/fd/0"),
    "group": os.getpgid(0), "session": os.getsid(0), "threads": threading.active_count(), "collects": gc.isenabled(),
    "signals": {number.name: getattr(handler := signal.getsignal(number), "__name__", str(handler))
                for number in signal.Signals},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "wakes": signal.set_wakeup_fd(-1),
    "buffered": sys.stdout.line_buffering, "encoding": sys.stdout.encoding, "errors": sys.stdout.errors,
}))
print("to stderr", file=sys.stderr)
sys.exit(7)
"""
PATIENCE = 30


@pytest.fixture(scope="module")
def server() -> Iterator[Forks]:
    with pytest.MonkeyPatch.context() as patch, closing(Forks()) as server:
        patch.setattr(forks, "FORKED", {"stand_in"})
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    return tmp_path


async def said(child: Child) -> dict[str, Any]:
    assert child.stdout is not None
    output = await asyncio.wait_for(child.stdout.read(), PATIENCE)
    bye, error, surroundings = sorted(output.decode().splitlines())
    assert (bye, error, await child.wait(), child.returncode) == ("bye", "to stderr", 7, 7)
    found: dict[str, Any] = json.loads(surroundings)
    # Python sets it where the environment names no locale.
    found["environment"].pop("LC_CTYPE", None)
    return found


async def test_it_has_the_same_surroundings(server: Forks, folder: Path) -> None:
    environment = {**inherited(), "GREETING": "hello", "TEXT": "höre"}

    forked = await server.spawn(["stand_in", "--loud"], folder, environment)
    started = await spawn(["stand_in", "--loud"], folder, environment)

    assert await said(forked) == await said(started)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_it_ends_by_the_same_signals(server: Forks, folder: Path, number: signal.Signals) -> None:
    ends = []
    for how in (server.spawn, spawn):
        child = await how(["stand_in", "asleep"], folder, inherited())
        assert child.stdout is not None
        await asyncio.wait_for(child.stdout.readline(), PATIENCE)

        child.send_signal(number)

        ends.append((await asyncio.wait_for(child.wait(), PATIENCE), (await child.stdout.read()).splitlines()[-1:]))
    assert ends[0] == ends[1]
    assert ends[0][0] == -number


async def test_what_a_command_prints_and_its_errors_are_read_apart(server: Forks, folder: Path) -> None:
    code, stdout, stderr = await server.run(["stand_in"], folder, {})

    assert (code, stdout.splitlines()[1:], stderr) == (7, ["bye"], "to stderr\n")


async def test_several_live_side_by_side(server: Forks, folder: Path) -> None:
    asleep = [await server.spawn(["stand_in", "asleep"], folder, inherited()) for _ in range(5)]

    for child in asleep[::-1]:
        child.kill()
        assert await asyncio.wait_for(child.wait(), PATIENCE) == -signal.SIGKILL

    assert len({child.pid for child in asleep}) == 5


@pytest.mark.parametrize(
    ("module", "changes"), [("other", {}), ("stand_in", {"TZ": "Asia/Tokyo"}), ("stand_in", {"PYTHONHASHSEED": "1"})]
)
async def test_what_an_interpreter_must_read_itself_is_started_afresh(
    server: Forks, folder: Path, module: str, changes: dict[str, str]
) -> None:
    (folder / "other.py").write_text(STAND_IN)

    child = await server.spawn([module], folder, inherited() | changes)

    assert isinstance(child, asyncio.subprocess.Process)
    await said(child)
