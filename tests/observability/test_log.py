"""What reaches the log, in which shape, and what never does."""

import asyncio
import inspect
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
import uvicorn.server
from pydantic import SecretStr

from answerback.kernel.log import Log
from answerback.observability import configure
from answerback.observability.logs import CUT_SHORT

FORGED = "x\n2026-01-01 00:00:00,000 INFO forged\r\x1b[2J\u2028\u0085\x00"
LINE_ENDS = "\r\x1b\u2028\u0085\x00"


@pytest.fixture(autouse=True)
def standard_logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


class Printed:
    """A log and what it printed."""

    def __init__(self, log_format: Literal["text", "json"], level: str = "INFO") -> None:
        self.stream = io.StringIO()
        self.log: Log = configure(level, log_format, self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_a_text_line_is_time_level_event_and_fields() -> None:
    printed = Printed("text")

    printed.log.info("job finished", job_id="job_1", attempt=2, took=0.5, ok=True, model=None, note="two words", no="")

    line = printed.text
    stamp, said = line[:23], line[24:]
    datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007 - local time, as logging's asctime
    assert said == '- INFO - job finished job_id=job_1 attempt=2 took=0.5 ok=true model=null note="two words" no=""\n'


def test_a_json_line_holds_the_time_in_utc_with_milliseconds() -> None:
    printed = Printed("json")

    before = datetime.now(UTC)
    printed.log.warning("callback dead", attempt=10, tags=("a", "b"), at={"host": "h"})
    after = datetime.now(UTC)

    (line,) = printed.objects
    stamp = line.pop("time")
    assert stamp.endswith("Z")
    assert len(stamp) == len("2026-01-01T00:00:00.000Z")
    at = datetime.fromisoformat(stamp)
    assert int(before.timestamp() * 1000) <= round(at.timestamp() * 1000) <= after.timestamp() * 1000
    assert line == {
        "level": "warning",
        "event": "callback dead",
        "attempt": 10,
        "tags": ["a", "b"],
        "at": {"host": "h"},
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_in_an_event_or_a_field_ends_the_line(log_format: Literal["text", "json"]) -> None:
    printed = Printed(log_format)

    printed.log.info(FORGED, session=FORGED, nested={FORGED: [FORGED]}, **{FORGED: 1})

    assert printed.text.count("\n") == 1
    assert printed.text.endswith("\n")
    assert not any(end in printed.text for end in LINE_ENDS)


def test_a_json_line_gives_back_what_was_put_in() -> None:
    printed = Printed("json")

    printed.log.info("e", session=FORGED, name="é 😀 \ud800")

    assert printed.objects[0]["session"] == FORGED
    assert printed.objects[0]["name"] == "é 😀 \ud800"


def test_fields_cannot_replace_the_frame_of_a_line() -> None:
    printed = Printed("json")

    printed.log.info("real", time="never", level="critical")

    (line,) = printed.objects
    assert (line["event"], line["level"]) == ("real", "info")
    assert (line["time_"], line["level_"]) == ("never", "critical")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "key",
    [
        *("authorization", "Authorization", "secret", "token", "auth_token", "api_key", "X-Api-Key", "key_hash"),
        *("message", "content", "question", "prompt", "text", "response", "body", "request_body", "messages"),
        "callback_hmac_secret",
    ],
)
def test_a_field_named_like_a_secret_or_a_text_is_redacted(log_format: Literal["text", "json"], key: str) -> None:
    printed = Printed(log_format)

    printed.log.info("e", **{key: "hunter2", "headers": {key: "hunter2", "more": [{key: ["hunter2"]}]}})

    assert "hunter2" not in printed.text
    assert printed.text.count("[redacted]") == 3


def test_counts_and_kinds_are_not_redacted() -> None:
    printed = Printed("json")

    fields = {"prompt_tokens": 3, "total_tokens": 5, "content_type": "json", "message_id": "m", "body_bytes": 7}
    printed.log.info("e", **fields)

    assert fields.items() <= printed.objects[0].items()


def test_a_secret_value_stays_one_under_any_name() -> None:
    printed = Printed("text")

    printed.log.info("e", setting=SecretStr("hunter2"))

    assert "hunter2" not in printed.text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_any_value_can_be_logged(log_format: Literal["text", "json"]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    circle: list[object] = []
    circle.append(circle)
    printed = Printed(log_format)

    printed.log.info("e", broken=Broken(), circle=circle, bytes=b"\n", nan=float("nan"), error=ValueError("a\nb"))

    assert printed.text.count("\n") == 1
    assert "<Broken>" in printed.text
    if log_format == "json":
        assert printed.objects[0]["error"] == "a\nb"


def test_an_exception_is_one_field_of_a_json_line() -> None:
    printed = Printed("json")

    try:
        raise ValueError("first\nsecond")
    except ValueError:
        printed.log.exception("broke", job_id="job_1")

    (line,) = printed.objects
    assert (line["level"], line["event"], line["job_id"]) == ("error", "broke", "job_1")
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert line["traceback"].endswith("ValueError: first\nsecond")


def test_an_exception_is_indented_below_a_text_line() -> None:
    printed = Printed("text")

    try:
        raise ValueError(FORGED)
    except ValueError:
        printed.log.exception("broke")

    first, *rest = printed.text.rstrip("\n").split("\n")
    assert first.endswith(" - ERROR - broke")
    assert all(row.startswith("    ") for row in rest)
    assert any("ValueError: x" in row for row in rest)
    assert not any(end in printed.text for end in LINE_ENDS)


def test_exception_outside_of_one_is_a_plain_error() -> None:
    printed = Printed("json")

    printed.log.exception("broke")  # noqa: LOG004 - the point of the test

    assert printed.objects[0].keys() == {"time", "level", "event"}


def test_below_the_level_nothing_is_printed() -> None:
    printed = Printed("text", level="WARNING")

    printed.log.info("quiet")
    printed.log.warning("loud")

    assert "quiet" not in printed.text
    assert "WARNING - loud" in printed.text


class TestStandardLibraryLoggers:
    def test_warnings_come_through_in_our_shape(self) -> None:
        printed = Printed("json")

        logging.getLogger("aiohttp.client").warning("lost %s\nINFO forged", "it")

        (line,) = printed.objects
        assert (line["level"], line["event"]) == ("warning", "lost it\nINFO forged")
        assert line["logger"] == "aiohttp.client"

    def test_their_exceptions_too(self) -> None:
        printed = Printed("json")

        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")

        (line,) = printed.objects
        assert line["event"] == "Exception in ASGI application"
        assert line["traceback"].endswith("ValueError: why")

    def test_chatter_and_access_lines_do_not(self) -> None:
        printed = Printed("text")

        logging.getLogger("uvicorn.error").info("Started server process")
        logging.getLogger("asyncio").info("Using selector")
        logging.getLogger("uvicorn.access").error("GET /")

        assert printed.text == ""

    def test_a_request_that_a_stop_cuts_short_is_no_error(self) -> None:
        printed = Printed("json")

        logging.getLogger("uvicorn.error").error(CUT_SHORT, 2)

        (line,) = printed.objects
        assert (line["level"], line["event"], line["count"]) == ("warning", "requests_cut_short", 2)
        assert CUT_SHORT in inspect.getsource(uvicorn.server)

    def test_nor_warnings_when_only_errors_are_wanted(self) -> None:
        printed = Printed("text", level="ERROR")

        logging.getLogger("aiohttp.client").warning("lost it")
        logging.getLogger("aiohttp.client").error("all of it")

        assert "lost it" not in printed.text
        assert "all of it" in printed.text

    def test_a_record_whose_arguments_do_not_fit(self) -> None:
        printed = Printed("json")
        root = logging.getLogger()
        root.handlers[:] = [each for each in root.handlers if type(each).__module__ == "answerback.observability.logs"]

        logging.getLogger("some.library").warning("%d things", "no")

        assert printed.objects[0]["event"] == "%d things"

    def test_configuring_anew_moves_them(self) -> None:
        before, after = Printed("text"), Printed("text")

        logging.getLogger("some.library").warning("once")

        assert before.text == ""
        assert after.text.count("once") == 1


def test_a_closed_stream_loses_lines_only() -> None:
    printed = Printed("text")

    printed.stream.close()

    printed.log.info("lost")


class Counted(io.StringIO):
    """Counts how often it must write what it holds."""

    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


async def test_the_lines_of_one_turn_of_the_loop_are_written_together() -> None:
    stream = Counted()
    log = configure("INFO", "text", stream)

    for number in range(3):
        log.info("event", number=number)
    before = stream.flushes
    await asyncio.sleep(0)

    assert (before, stream.flushes) == (0, 1)


class Written(io.RawIOBase):
    """Keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.writes.append(bytes(data))
        return len(data)


async def test_lines_are_written_together_where_python_is_unbuffered() -> None:
    # Given
    written = Written()
    stream = io.TextIOWrapper(written, write_through=True)  # type: ignore[type-var]
    log = configure("INFO", "text", stream)

    # When
    for number in range(3):
        log.info("event", number=number)
    await asyncio.sleep(0)

    # Then
    (together,) = written.writes
    assert together.count(b"event") == 3


def test_a_line_without_a_loop_is_written_at_once() -> None:
    stream = Counted()

    configure("INFO", "text", stream).info("event")

    assert stream.flushes == 1
