"""Runs the blocks of a page as a reader would: each `sh` block in a terminal of its own, all in one folder."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from answerback.relay.request import WebhookMessage
from answerback.testing import process
from answerback.testing.process import Child
from doc_pages import Block, pattern
from stand_ins import install

PATIENCE = 60.0
"""Seconds until a wait gives up: far more than anything takes here, so that a busy machine fails no story."""

READY = {
    r"\bmake run\b": "listening",
    r"\banswerback (?:--\S+ )*serve\b": "listening",
    r"\banswerback worker\b": "working",
    r"\bcelery -A\b": "working",
    r"\banswerback listen\b": "Waiting for callbacks",
    r"\buvicorn\b": "Uvicorn running",
    r"\bnode receiver": "Waiting for callbacks",
}
"""Commands that go on until they are stopped, and what each prints when it is ready."""


ALONE = re.compile(r"(?:[A-Z_]+=[\w./:-]+ )*answerback [\w./: -]+\n")
"""A command that is forked as services are: it needs no shell, and starts a second earlier."""

SHELL = {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class Terminal:
    """A shell that runs one block; what it prints, errors too, is one text."""

    def __init__(self, command: str, process: Child, shown: Callable[[str], str]) -> None:
        self.command = command
        self._process = process
        self._shown = shown
        self._printed = bytearray()
        self._came = asyncio.Event()
        self._seen = 0
        self._reading = asyncio.ensure_future(self._read())

    @property
    def printed(self) -> str:
        """What it has printed, as the page would show it."""
        return self._shown(self._printed.decode("utf-8", "replace"))

    async def end(self) -> int:
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self._process.wait()

    async def ready(self, words: str) -> None:
        """Waits until it has printed this."""
        await self._until(re.compile(words))

    async def see(self, expected: re.Pattern[str]) -> None:
        """Waits until it has printed this, behind what was seen before."""
        self._seen = await self._until(expected)

    async def _until(self, expected: re.Pattern[str]) -> int:
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := expected.search(self.printed, self._seen)) is None:
                    assert not self._reading.done(), f"{self.command!r} ended and printed:\n{self.printed}"
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"not seen: {expected.pattern}\n{self.command!r} printed:\n{self.printed}") from None
        return found.end()

    async def close(self) -> None:
        if self._process.returncode is None and os.getpgid(self._process.pid) == self._process.pid:
            os.killpg(self._process.pid, signal.SIGKILL)
        elif self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(65_536):
            self._printed += chunk
            self._came.set()
        self._came.set()


class Reader:
    """Follows a page in `folder`. `places` are what a page names and what stands in for it here, such as ports."""

    def __init__(self, folder: Path, environment: Mapping[str, str], places: Mapping[str, str]) -> None:
        self._folder = folder
        self._places = places
        self._environment = environment
        self._terminals: list[Terminal] = []

    async def follow(self, blocks: Sequence[Block]) -> None:
        """Does what the page says, and compares what it shows. Raises AssertionError."""
        for block in blocks:
            try:
                await self._follow(block)
            except AssertionError as error:
                raise AssertionError(f"line {block.line}, {block.heading!r}: {error}") from error

    @property
    def printed(self) -> str:
        """What all its terminals have printed."""
        return "".join(terminal.printed for terminal in self._terminals)

    async def close(self) -> None:
        for terminal in self._terminals:
            await terminal.close()

    async def _follow(self, block: Block) -> None:
        if block.language == "sh":
            await self._run(block.text)
        elif block.language == "text":
            await self._compare(block)
        elif block.title is not None:
            (self._folder / block.title).write_text(self._placed(block.text), encoding="utf-8")
        elif block.language == "json":
            WebhookMessage.model_validate_json(block.text)
        else:
            assert not block.language, f"neither run nor shown: a {block.language} block without a title"

    async def _run(self, command: str) -> None:
        placed = self._placed(command)
        start = self._fork if ALONE.fullmatch(placed) else self._shell
        terminal = Terminal(command, await start(placed), self._shown)
        self._terminals.append(terminal)
        ready = next((words for runs_on, words in READY.items() if re.search(runs_on, command)), None)
        if ready is None:
            assert await terminal.end() == 0, f"{command!r} failed:\n{terminal.printed}"
        else:
            await terminal.ready(ready)

    async def _shell(self, command: str) -> Child:
        return await asyncio.create_subprocess_exec(
            *("bash", "-e", "-c", command),
            cwd=self._folder,
            env={**self._environment, **SHELL, "HOME": str(self._folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def _fork(self, command: str) -> Child:
        words = command.split()
        n = words.index("answerback")
        # The path is this process's, since an interpreter that has started already is forked.
        settings = {"PATH": os.environ["PATH"], **dict(word.split("=", 1) for word in words[:n])}
        return await process.spawn(words[n:], self._folder, {**self._environment, **settings})

    async def _compare(self, block: Block) -> None:
        if block.title is not None:
            (terminal,) = (each for each in self._terminals if block.title in each.command)
            await terminal.see(pattern(block.text.strip()))
            return
        terminal = self._terminals[-1]
        expected = pattern(block.text.strip())
        if any(re.search(runs_on, terminal.command) for runs_on in READY):
            await terminal.see(expected)
        else:
            assert expected.fullmatch(terminal.printed.strip()), f"shown:\n{block.text}\nprinted:\n{terminal.printed}"

    def _placed(self, text: str) -> str:
        for named, here in self._places.items():
            text = re.sub(rf"\b{re.escape(named)}\b", here, text)
        return text

    def _shown(self, text: str) -> str:
        text = "\n".join(line.rstrip() for line in text.splitlines())
        for named, here in self._places.items():
            text = re.sub(rf"\b{re.escape(here)}\b", named, text)
        return text.replace(str(self._folder.resolve()), "/home/you/bot")


@asynccontextmanager
async def reader(folder: Path, places: Mapping[str, str], **settings: str) -> AsyncIterator[Reader]:
    """A reader with an empty folder, and nothing set but the path and these variables."""
    commands = folder / ".commands"
    install(commands)
    # As where the output is a terminal.
    (folder / ".curlrc").write_text("silent\nshow-error\n", encoding="utf-8")
    environment = {
        **process.inherited(),
        "PATH": f"{commands}:{os.environ['PATH']}",
        "MOCK_DELAY_SECONDS": "0",
        **settings,
    }
    made = Reader(folder, environment, places)
    try:
        yield made
    finally:
        await made.close()
