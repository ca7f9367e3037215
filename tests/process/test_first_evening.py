"""What a newcomer does first, as `answerback init` and the demo show it."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from answerback.testing.ports import reserve_port

pytestmark = [
    pytest.mark.asyncio(loop_scope="function"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl"),
]

Shell = Callable[[str], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A terminal for each command, all in one empty folder, with nothing set but the path."""
    started: list[asyncio.subprocess.Process] = []

    async def shell(command: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield shell
    for process in started:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def until_said(process: asyncio.subprocess.Process, words: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        async for line in process.stdout:
            if words in line.decode():
                return
    raise AssertionError(f"it ended and never said {words!r}")


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Two that are free."""
    with ExitStack() as kept:
        reserved = [reserve_port() for _ in range(2)]
        for holder, _ in reserved:
            if holder is not None:
                kept.enter_context(holder)
        yield [port for _, port in reserved]


async def test_the_steps_that_init_shows_lead_to_a_verified_callback(shell: Shell, ports: list[int]) -> None:
    # Given what init shows, at ports that are free
    init = await shell(f"{sys.executable} -m answerback init")
    shown = (await init.communicate())[0].decode()
    listen, serve, *message = [line.strip() for line in shown.splitlines() if line.startswith("  ")]
    at = {"8080": str(ports[0]), "9000": str(ports[1])}
    # When each command runs in its terminal
    receiver = await shell(listen.replace("9000", at["9000"]))
    await until_said(receiver, "Waiting for callbacks")
    await until_said(await shell(f"{serve} --port {at['8080']}"), "listening")
    await shell("\n".join(message).replace("8080", at["8080"]).replace("9000", at["9000"]))
    # Then the receiver shows that the signature is valid
    await until_said(receiver, "signature   valid")
