"""The log: one line an event on stdout, as text or JSON, that no field can forge and that redacts what looks secret."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, TextIO

from answerback.kernel.clock import rfc3339
from answerback.kernel.current_request import CURRENT_REQUEST
from answerback.kernel.log import Log
from answerback.observability.logfile import LogFile
from answerback.observability.sink import Sink

REDACTED = "[redacted]"
PRIVATE = frozenset(
    {"authorization", "secret", "token", "api_key", "apikey", "key_hash", "password", "cookie", "credentials"}
    | {"message", "messages", "content", "question", "answer", "prompt", "text", "response", "body", "snippet"}
)
REFUSED = "Invalid HTTP request received."
"""uvicorn's message about bytes that are not HTTP. Our own line of that request says the same."""
CUT_SHORT = "Cancel %s running task(s), timeout graceful shutdown exceeded"
"""uvicorn's about requests that a stop waits for no longer: what was asked for, and no fault."""
REQUEST = "request"
"""The event of the line that every request leaves."""
FRAME = frozenset({"time", "level", "event", "traceback"})
"""What every JSON line has, or may have."""
NUMBERS = frozenset({int, float})
ALREADY_CLEAN = frozenset({str, int, bool, type(None)})
PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
"""Text that needs no quotes in a `key=value` line: visible ASCII but for `"`, `=` and the backslash."""


def configure(
    level: str, log_format: Literal["text", "json"], stream: TextIO | None = None, logs_dir: Path | None = None
) -> Log:
    """Sends the standard library's warnings and the returned log's events, from `level` up, to `stream` (stdout), and
    to files in `logs_dir`. Raises OSError when none can be written there now; a later failure loses lines only."""
    file = LogFile(logs_dir) if logs_dir is not None else None
    if file is not None:
        file.open()
    sink = Sink(sys.stdout if stream is None else stream, file)
    render = json_line if log_format == "json" else text_line
    lowest = logging.getLevelNamesMapping()[level]
    _route_standard_logging(_Bridge(max(logging.WARNING, lowest), sink, render))
    return _Log(lowest, sink, render)


class Render(Protocol):
    """Makes a line of an event. `trace` is a traceback, empty where nothing was raised."""

    def __call__(self, level: str, event: str, fields: Mapping[str, object], trace: str, /) -> str: ...


class _Log:
    """Implements `Log`: the events from a level up."""

    def __init__(self, lowest: int, sink: Sink, render: Render) -> None:
        self._lowest = lowest
        self._sink = sink
        self._render = render

    def info(self, event: str, /, **fields: object) -> None:
        if self._lowest <= logging.INFO:
            self._write("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        if self._lowest <= logging.WARNING:
            self._write("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        if self._lowest <= logging.ERROR:
            self._write("error", event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        if self._lowest <= logging.ERROR:
            self._write("error", event, fields, _trace(sys.exception()))

    def _write(self, level: str, event: str, fields: dict[str, object], trace: str = "") -> None:
        if (request := CURRENT_REQUEST.get()) is not None:
            fields.setdefault("request_id", request.id)
        self._sink.write(self._render(level, event, fields, trace))


def json_line(level: str, event: str, fields: Mapping[str, object], trace: str, /) -> str:
    """One JSON object, ASCII only, so that no character of a field ends a line for any reader."""
    line = f'{{"time":"{rfc3339(time.time_ns() // 1_000_000)}","level":"{level}","event":{_encode(event)}'
    for key, value in fields.items():
        label, redacted = _json_label(key)
        line += label + (f'"{REDACTED}"' if redacted else _json(_clean(value)))
    if trace:
        line += f',"traceback":{_encode(trace)}'
    return line + "}"


def text_line(level: str, event: str, fields: Mapping[str, object], trace: str, /) -> str:
    """`2025-01-31 12:00:00,123 - INFO - event key=value …`, local time; a traceback follows on indented lines. A
    request reads as `_request_words` says."""
    at = time.time()
    stamp = f"{_local(int(at))},{int(at * 1000) % 1000:03d} - "
    if event == REQUEST:
        return stamp + _request_words(level, fields)
    line = f"{stamp}{level.upper()} - {_escape(event)}"
    for key, value in fields.items():
        label, redacted = _label(key)
        line += label + (REDACTED if redacted else _quoted(value))
    for row in trace.splitlines():
        line += "\n    " + _escape(row)
    return line


def _request_words(level: str, fields: Mapping[str, object]) -> str:
    """The request line that clients of earlier services read: `INFO - OK | GET /models | handler=get_models |
    time=0.5164s | status_code=200`, or `ERROR - ERROR | …` for one that failed; `WARNING - ERROR | …` where its client
    is to blame. What those did not have comes behind. `ms` comes as a number."""
    ms = fields.get("ms")
    seconds = ms / 1000 if isinstance(ms, int | float) else 0.0
    line = (
        f"{level.upper()} - {'OK' if level == 'info' else 'ERROR'} | {fields.get('method')} {fields.get('path')} | "
        f"handler={fields.get('handler')} | time={seconds:.4f}s | status_code={fields.get('status')}"
    )
    for key in ("code", "stream", "model", "tokens", "finish", "llm_ms", "request_id"):
        if (value := fields.get(key)) is not None:
            line += f" | {key}={value}"
    return _escape(line)


@lru_cache(maxsize=1024)
def _json_label(key: str) -> tuple[str, bool]:
    """A field's name as JSON lines show it, no name of their frame, and whether its value is redacted."""
    return f",{_encode(key + '_' if key in FRAME else key)}:", private(key)


def _json(value: object) -> str:
    """Of a value that `_clean` returned."""
    return repr(value) if type(value) in NUMBERS else _encode(value)


@lru_cache(maxsize=1024)
def _label(key: str) -> tuple[str, bool]:
    """A field's name as text lines show it, and whether its value is redacted."""
    return f" {_escape(key)}=", private(key)


@lru_cache(maxsize=1024)
def private(key: str) -> bool:
    """Whether a field's name says that it holds a secret or a message's text: the last safeguard, not the first."""
    name = key.lower().replace("-", "_")
    return name in PRIVATE or any(name.endswith("_" + word) for word in PRIVATE)


@lru_cache(maxsize=1)
def _local(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _clean(value: object, depth: int = 4) -> object:
    """A value JSON can hold, private keys of nested mappings redacted."""
    if type(value) in ALREADY_CLEAN:
        return value
    match value:
        case int():
            return int(value)
        case str():
            return str(value)
        case float():
            return value if value - value == 0.0 else str(value)
        case Mapping() if depth:
            return {
                (name := _words(key)): REDACTED if private(name) else _clean(item, depth - 1)
                for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset() if depth:
            return [_clean(item, depth - 1) for item in value]
        case _:
            return _words(value)


def _words(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log line must not fail for the thing it describes
        return f"<{type(value).__name__}>"


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _quoted(value: object) -> str:
    if type(value) is int:
        return repr(value)
    if type(value) is not str:
        value = _clean(value)
        if not isinstance(value, str):
            return _json(value)
    if PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _escape(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else _encode(c)[1:-1] for c in text)


def _trace(error: BaseException | None) -> str:
    if error is None:
        return ""
    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except Exception:  # noqa: BLE001 - as above
        return type(error).__name__


class _Bridge(logging.Handler):
    """Writes the standard library's records to the same sink."""

    def __init__(self, level: int, sink: Sink, render: Render) -> None:
        super().__init__(level)
        self._sink = sink
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == CUT_SHORT and isinstance(record.args, tuple):
            if self.level <= logging.WARNING:
                self._sink.write(self._render("warning", "requests_cut_short", {"count": record.args[0]}, ""))
            return
        try:
            event = record.getMessage().strip()
        except Exception:  # noqa: BLE001 - arguments that do not fit their message
            event = str(record.msg)
        if event == REFUSED:
            return
        trace = _trace(record.exc_info[1]) if record.exc_info else ""
        self._sink.write(self._render(record.levelname.lower(), event, {"logger": record.name}, trace))

    def close(self) -> None:
        super().close()
        self._sink.close()


def _route_standard_logging(bridge: _Bridge) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Bridge):
            root.removeHandler(handler)
            handler.close()
    root.addHandler(bridge)
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
