"""Every request leaves one log line and one count, and no secret of its path."""

import pytest

from answerback.http.request_log import RequestLog, request_id
from answerback.kernel.telemetry import UNMEASURED
from builders import Journal


class Levels(Journal):
    """A log that remembers the level of its last line."""

    level = ""

    def __getattribute__(self, name: str) -> object:
        if name in ("info", "warning", "error"):
            self.level = name
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("status", "broken", "level"),
    [
        (200, False, "info"),
        (302, False, "info"),
        (404, False, "warning"),
        (501, False, "warning"),
        (505, False, "warning"),
        (502, False, "error"),
        (200, True, "error"),
    ],
)
def test_the_level_says_whether_the_request_failed(status: int, broken: bool, level: str) -> None:
    log = Levels()

    RequestLog(log, UNMEASURED).answered("GET", "/models", status, 0.25, "req_1", handler="models", broken=broken)

    assert log.level == level
    ((event, fields),) = log.lines
    assert event == "request"
    assert fields == {
        "method": "GET",
        "path": "/models",
        "handler": "models",
        "status": status,
        "ms": 250.0,
        "request_id": "req_1",
        **({"stream": "broken"} if broken else {}),
    }


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/v1/jobs/job_1", "/v1/jobs/job_1"),
        ("/v1/sessions/https://a.example/?token=secret", "/v1/sessions/…"),
        ("//v1/sessions/secret", "/v1/sessions/…"),
        ("/v1//sessions//secret", "/v1/sessions/…"),
        ("/V1/Sessions/secret", "/v1/sessions/…"),
        ("/v1/%73essions/secret", "/v1/sessions/…"),
        ("/v1/./sessions/secret", "/v1/sessions/…"),
        ("/sessions/secret", "/v1/sessions/…"),
        ("http://relay.example/v1/sessions/secret", "/v1/sessions/…"),
        ("/v1/sessions", "/v1/sessions"),
        ("/a?token=secret", "/a"),
        ("/a b", "/a%20b"),
        ("/" + "a" * 300, "/" + "a" * 255),
    ],
)
def test_the_path_is_logged_without_secrets_and_bounded(path: str, logged: str) -> None:
    assert RequestLog(Journal(), UNMEASURED, ["/v1/sessions/"]).logged_path(path) == logged


def test_a_well_formed_request_id_is_kept() -> None:
    assert request_id(b"order-7:a.b_C") == "order-7:a.b_C"


@pytest.mark.parametrize("given", [b"", b"a b", b"a\nb", b"\xff", b"a" * 129])
def test_any_other_request_id_is_replaced(given: bytes) -> None:
    assert request_id(given).startswith("req_")
    assert request_id(given) != request_id(given)
