"""The log as files: `answerback.log`, rotated to `.1`, `.2`, … when it has grown."""

import contextlib
import os
import time
from pathlib import Path
from typing import TextIO

NAME = "answerback.log"
MAX_BYTES = 20 * 1024 * 1024
KEPT = 5
RETRY_SECONDS = 10.0
"""The pause after a failed write: a full disk must not cost time at every line."""


class LogFile:
    """Appends whole lines to `folder/answerback.log`, which it makes as needed.

    `write` never raises: a line that cannot be written is lost, and the next try is 10 s later. `open` raises.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file: TextIO | None = None
        self._size = 0
        self._retry_at = 0.0

    def open(self) -> None:
        """Raises OSError when the directory or the file cannot be made."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        self._size = self._path.stat().st_size

    def write(self, line: str) -> None:
        """`line` comes without its line end."""
        if self._file is None and time.monotonic() < self._retry_at:
            return
        try:
            if self._file is None:
                self.open()
            elif self._size >= MAX_BYTES:
                self._rotate()
            if self._file is not None:
                self._file.write(line + "\n")
                # Characters, not bytes: the limit need not be exact.
                self._size += len(line) + 1
        except (OSError, ValueError):
            self._give_up()

    def _rotate(self) -> None:
        moved_on = self._is_moved_on()
        self.close()
        if moved_on:
            self.open()
            return
        for number in range(KEPT - 1, 0, -1):
            older = self._path.with_name(f"{NAME}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{NAME}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{NAME}.1"))
        self.open()

    def _is_moved_on(self) -> bool:
        """Whether another process that writes to the same files has done so."""
        if self._file is None or not self._path.exists():
            return False
        return not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())

    def _give_up(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.close()
        self._file = None
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
