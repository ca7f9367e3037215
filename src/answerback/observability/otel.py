"""`answerback.kernel.telemetry.Tracer` over OpenTelemetry. Needs the extra `answerback[otel]`."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from answerback import __version__
from answerback.kernel.telemetry import Attributes, Span, SpanKind, Tracer

KINDS = {
    SpanKind.SERVER: OtelKind.SERVER,
    SpanKind.CLIENT: OtelKind.CLIENT,
    SpanKind.CONSUMER: OtelKind.CONSUMER,
}
PROPAGATOR = TraceContextTextMapPropagator()


class _Span(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, kind))

    def end(self) -> None:
        self._span.end()


class OtelTracer(Tracer):
    """Spans of a provider of its own: nothing global is set. Exceptions are not recorded, since their messages may
    contain a client's or an upstream's text."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("answerback", __version__)

    def current(self) -> str | None:
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Attributes, parent: str | None = None) -> Iterator[Span]:
        context = PROPAGATOR.extract({"traceparent": parent}, Context()) if parent is not None else None
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=KINDS[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)

    def begin(self, name: str, kind: SpanKind, attributes: Attributes) -> Span:
        return _Span(self._tracer.start_span(name, kind=KINDS[kind], attributes=attributes))

    def close(self) -> None:
        self._provider.shutdown()


def open_tracer(exporter: str, *, named: bool) -> OtelTracer:
    """`exporter` is `otlp` or `console`; OpenTelemetry's environment variables set everything else. `named`: one of
    them names the service."""
    to: SpanExporter = ConsoleSpanExporter() if exporter == "console" else OTLPSpanExporter()
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "answerback"}))
    provider.add_span_processor(BatchSpanProcessor(to))
    return OtelTracer(provider)
