"""Traces, if OpenTelemetry's environment variables ask for them."""

from collections.abc import Mapping

from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNTRACED, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def make_tracer(environment: Mapping[str, str], log: Log) -> Tracer:
    """A tracer that exports, where `OTEL_TRACES_EXPORTER` is `otlp` or `console`, or an OTLP endpoint is named; else
    one that does nothing and costs nothing. The libraries are loaded only here, and only then."""
    asked = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    exporter = asked or ("otlp" if any(environment.get(name, "").strip() for name in ENDPOINTS) else "none")
    if exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return UNTRACED
    if exporter not in ("otlp", "console"):
        reason = f"OTEL_TRACES_EXPORTER is {exporter[:40]!r} but must be otlp, console or none"
        log.warning("tracing_off", reason=reason)
        return UNTRACED
    try:
        from answerback.observability.otel import open_tracer
    except ImportError:
        log.warning("tracing_off", reason="traces need the extra: pip install 'answerback[otel]'")
        return UNTRACED
    log.info("tracing", exporter=exporter)
    return open_tracer(exporter, named="OTEL_SERVICE_NAME" in environment)
