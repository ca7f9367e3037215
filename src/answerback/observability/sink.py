"""Where the log's lines go: a stream, and files if there are any."""

import asyncio
import contextlib
import io
import os
import threading
from typing import TextIO

from answerback.observability.logfile import LogFile


class Sink:
    """Writes whole lines. Once the stream's reader is gone, the stream gets no more lines, and the service goes on.

    The stream gets the lines of one turn of the event loop together: each write of its own would hand the interpreter
    to another thread. Without a loop each line goes out at once.
    """

    def __init__(self, stream: TextIO | None, file: LogFile | None) -> None:
        self._stream = stream
        self._file = file
        self._lock = threading.Lock()
        self._flush_is_due = False
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                # With PYTHONUNBUFFERED the stream would write each line for itself.
                stream.reconfigure(errors="backslashreplace", line_buffering=False, write_through=False)

    def write(self, line: str) -> None:
        loop = asyncio._get_running_loop()
        with self._lock:
            if self._file is not None:
                self._file.write(line)
            if self._stream is None:
                return
            self._print(self._stream, line)
            if loop is None:
                self._flush_stream(self._stream)
            elif not self._flush_is_due:
                self._flush_is_due = True
                loop.call_soon(self._flush)

    def close(self) -> None:
        """Closes the file, which the next line opens again."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _flush(self) -> None:
        with self._lock:
            self._flush_is_due = False
            if self._stream is not None:
                self._flush_stream(self._stream)

    @staticmethod
    def _print(stream: TextIO, line: str) -> None:
        # A full disk, a closed stream: the next line may do better.
        try:  # noqa: SIM105 (half the calls)
            stream.write(line + "\n")
        except (OSError, ValueError):
            pass

    @staticmethod
    def _flush_stream(stream: TextIO) -> None:
        try:
            stream.flush()
        except BrokenPipeError:
            _silence(stream)
        except (OSError, ValueError):
            pass  # as above


def _silence(stream: TextIO) -> None:
    # The stream keeps what it could not write, and would fail again at exit and change the exit code.
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
