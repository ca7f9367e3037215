"""One trace from the incoming POST to the delivered callback, and none where no exporter is configured."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from answerback.testing import FakeLLM, Receiver, Service, replies
from answerback.testing.push import PushLLM

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = pytest.mark.asyncio(loop_scope="function")

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@dataclass(frozen=True)
class SpanSeen:
    """A span as the collector heard it."""

    trace: str
    id: str
    parent: str
    kind: int
    attributes: dict[str, Any]
    failed: bool


class Collector:
    """Takes spans as OpenTelemetry's collector does, over OTLP/HTTP."""

    def __init__(self) -> None:
        self.spans: dict[str, SpanSeen] = {}
        self.services: set[str] = set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        said = ExportTraceServiceRequest.FromString(await request.read())
        for resource in said.resource_spans:
            self.services |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                values = {each.key: each.value for each in span.attributes}
                attributes = {key: getattr(value, str(value.WhichOneof("value"))) for key, value in values.items()}
                self.spans[span.name] = SpanSeen(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    attributes,
                    span.status.code == span.status.STATUS_CODE_ERROR,
                )
        return web.Response()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as started:
        yield started


async def post(service: Service, receiver: Receiver, text: str, **headers: str) -> None:
    body = {"message": text, "callback_url": receiver.url("/done"), "temperature": 0.5, "max_tokens": 20}
    async with (
        aiohttp.ClientSession(service.url) as http,
        http.post("/webhook", json=body, headers=headers) as response,
    ):
        assert response.status == 202


def settings(llm: FakeLLM, **more: str) -> dict[str, str]:
    return {"OPENROUTER_BASE_URL": llm.base_url, "LLM_MODEL": "fake", **more}


async def test_a_message_is_followed_from_the_callers_own_trace_to_the_receivers(
    collector: Collector, receiver: Receiver
) -> None:
    async with (
        FakeLLM() as llm,
        Service(settings(llm, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)) as service,
    ):
        await post(service, receiver, "do not trace my words", traceparent=TRACEPARENT)
        (callback,) = await receiver.wait_for(1)
        await service.terminate()

    posted, answered, asked, delivered = (
        collector.spans[name] for name in ("POST /webhook", "answer", "chat fake", "deliver")
    )
    assert {span.trace for span in (posted, answered, asked, delivered)} == {TRACE}
    assert posted.parent == CALLER
    assert (answered.parent, delivered.parent) == (posted.id, posted.id)
    assert asked.parent == answered.id
    assert callback.headers["traceparent"] == f"00-{TRACE}-{delivered.id}-01"
    assert collector.services == {"answerback"}
    assert not set(collector.spans) & {"GET /readyz", "GET /healthz"}

    genai = {key: value for key, value in asked.attributes.items() if key.startswith("gen_ai.")}
    assert genai == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "127.0.0.1",
        "gen_ai.request.model": "fake",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 20,
        "gen_ai.response.model": "fake",
        "gen_ai.response.finish_reasons": genai["gen_ai.response.finish_reasons"],
        "gen_ai.usage.input_tokens": genai["gen_ai.usage.input_tokens"],
        "gen_ai.usage.output_tokens": genai["gen_ai.usage.output_tokens"],
    }
    assert [value.string_value for value in genai["gen_ai.response.finish_reasons"].values] == ["stop"]
    assert genai["gen_ai.usage.input_tokens"] > 0
    assert posted.attributes["http.route"] == "/webhook"
    assert posted.attributes["http.response.status_code"] == 202
    assert delivered.attributes["http.response.status_code"] == 200
    assert "do not trace" not in str(collector.spans)


async def test_failures_show_as_such_and_a_stream_is_one_span(collector: Collector, receiver: Receiver) -> None:
    async with (
        FakeLLM() as llm,
        Service(settings(llm, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="ours")) as service,
    ):
        llm.on("refuse", replies.status(400))
        await post(service, receiver, "refuse", traceparent="garbage")
        await receiver.wait_for(1)
        async with (
            aiohttp.ClientSession(service.url) as http,
            http.post("/api/streaming", json={"question": "hello", "model": "other"}) as response,
        ):
            await response.read()
        await service.terminate()

    assert collector.services == {"ours"}
    assert (collector.spans["chat fake"].failed, collector.spans["answer"].failed) == (True, True)
    assert collector.spans["chat fake"].attributes["error.type"] == "upstream_refused"
    assert collector.spans["POST /webhook"].parent == ""
    streamed = collector.spans["chat other"]
    assert not streamed.failed
    assert streamed.parent == collector.spans["POST /api/streaming"].id
    assert streamed.attributes["gen_ai.usage.output_tokens"] > 0


async def test_a_review_is_followed_to_the_llm_that_answers_by_webhook(
    collector: Collector, receiver: Receiver
) -> None:
    async with (
        PushLLM() as llm,
        Service({"LLM_API_URL": llm.url, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        body = {"submission_id": "essay", "file_refs": [], "webhook_url": receiver.url("/done")}
        async with http.post("/v1/reviews", json=body) as response:
            assert response.status == 202
        await llm.wait_for(1)
        await service.terminate()

    handed_over = collector.spans["review push"]
    assert handed_over.parent == collector.spans["answer"].id
    assert handed_over.attributes["gen_ai.provider.name"] == "push"
    assert not handed_over.failed


async def test_without_being_asked_nothing_is_traced_or_sent(receiver: Receiver) -> None:
    async with FakeLLM() as llm, Service(settings(llm)) as service:
        await post(service, receiver, "hello", traceparent=TRACEPARENT)
        (callback,) = await receiver.wait_for(1)

    assert "traceparent" not in callback.headers


async def test_a_collector_that_is_away_disturbs_nothing(receiver: Receiver) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    async with FakeLLM() as llm, Service(settings(llm, **nowhere)) as service:
        await post(service, receiver, "hello")
        (callback,) = await receiver.wait_for(1)
        assert await service.terminate() == 0

    assert callback.json["status"] == "completed"
