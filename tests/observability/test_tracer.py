"""No tracer where none is asked for, or none can be had."""

import pytest

from answerback.kernel.telemetry import UNTRACED
from answerback.observability.tracing import make_tracer
from builders import Journal


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
    ],
)
def test_who_asks_for_none_gets_none(environment: dict[str, str]) -> None:
    assert make_tracer(environment, Journal()) is UNTRACED


def test_an_exporter_nobody_knows_is_said_and_none_is_used() -> None:
    journal = Journal()

    assert make_tracer({"OTEL_TRACES_EXPORTER": "jaeger"}, journal) is UNTRACED
    assert journal.events == ["tracing_off"]


def test_without_the_extra_it_is_said_and_none_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    monkeypatch.setitem(__import__("sys").modules, "answerback.observability.otel", None)

    assert make_tracer({"OTEL_TRACES_EXPORTER": "otlp"}, journal) is UNTRACED
    assert "answerback[otel]" in str(journal.lines)
