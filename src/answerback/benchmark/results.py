"""The folder of benchmarks' files."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar

from answerback.kernel.errors import ResultsUnwritable

T = TypeVar("T")


OURS = ("benchmark-*.csv", "benchmark-*.svg", "benchmark-*.json", "benchmark-*.part")


class ResultsFolder:
    """`folder` is made at the first use. Each file has a name of its own, none is ever overwritten, and only the user
    of this process may read it: prompts and answers are private."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self) -> None:
        """Makes the folder. Raises ResultsUnwritable if it takes no file now."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise _unwritable(self._folder, error) from None

    async def create(self) -> "CsvFile":
        """Raises ResultsUnwritable."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self._folder / f"benchmark-{stamp}-{secrets.token_hex(4)}.csv"
        return CsvFile(path, await on_disk(path, lambda: self._open(path)))

    def _open(self, path: Path) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        return private(path)

    async def prune(self, retention_seconds: float) -> int:
        """Deletes the files last written so long ago, and returns how many. Raises ResultsUnwritable."""
        return await on_disk(self._folder / "any", lambda: self._delete_before(time.time() - retention_seconds))

    def _delete_before(self, moment: float) -> int:
        old = [each for kind in OURS for each in self._folder.glob(kind) if each.lstat().st_mtime < moment]
        for each in old:
            each.unlink(missing_ok=True)
        return len(old)


def private(path: Path) -> BinaryIO:
    """A new file that only this process's user may read or write. Raises OSError."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


class CsvFile:
    """A benchmark's file; `path` is where an operator finds it. Writes in a thread, so that a slow disk does not block
    the event loop."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = str(path)
        self._where = path
        self._file = file

    async def write(self, text: str) -> None:
        """Flushes the file, so that readers see the text at once. Raises ResultsUnwritable."""
        data = text.encode(errors="replace")
        await on_disk(self._where, lambda: self._append(data))

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    async def close(self) -> None:
        """Raises ResultsUnwritable."""
        await on_disk(self._where, self._file.close)


async def on_disk(path: Path, work: Callable[[], T]) -> T:
    """Does the work in a thread. Raises ResultsUnwritable."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise _unwritable(path.parent, error) from None


def _unwritable(folder: Path, error: OSError) -> ResultsUnwritable:
    words = f"the results cannot be written to {folder}: {error.strerror or type(error).__name__}"
    return ResultsUnwritable(f"{words}; see BENCHMARKS_DIR")
