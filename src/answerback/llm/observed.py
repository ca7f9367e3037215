"""Counting and tracing every call of an upstream, whoever makes it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.telemetry import LLMCall, Metrics, Span, SpanKind, Tracer
from answerback.llm.model import Answer, ChatRequest, Chunk, Model, Relayed, Usage
from answerback.llm.provider import Provider
from answerback.reviews.model import Review
from answerback.reviews.ports import ReviewLLM


class ObservedProvider:
    """Implements `Provider`: the calls of another, each counted and traced by the GenAI semantic
    conventions of OpenTelemetry. `default_model` is asked where a request names none."""

    def __init__(self, provider: Provider, default_model: str, metrics: Metrics, tracer: Tracer) -> None:
        self._provider = provider
        self._default_model = default_model
        self._metrics = metrics
        self._tracer = tracer
        self.name = provider.name

    async def complete(self, request: ChatRequest) -> Answer:
        call = self._begin(request)
        try:
            answer = await self._provider.complete(request)
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(answer.model, answer.usage, answer.finish_reason)
        return answer

    async def relay(self, request: ChatRequest) -> Relayed:
        call = self._begin(request)
        try:
            relayed = await self._provider.relay(request)
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(relayed.model, relayed.usage, None)
        return relayed

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        call = self._begin(request)
        model, usage, finish_reason = None, None, None
        try:
            async with aclosing(self._provider.stream(request)) as chunks:
                async for chunk in chunks:
                    call.spoke()
                    model = model or chunk.model
                    usage = chunk.usage or usage
                    finish_reason = chunk.finish_reason or finish_reason
                    yield chunk
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(model, usage, finish_reason)

    async def models(self) -> Sequence[Model]:
        return await self._provider.models()

    async def close(self) -> None:
        await self._provider.close()

    def _begin(self, request: ChatRequest) -> "_Call":
        named = request.body.get("model")
        model = named if isinstance(named, str) and named else self._default_model
        about: dict[str, str | int | float | Sequence[str]] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.name,
            "gen_ai.request.model": model,
        }
        for field in ("temperature", "max_tokens"):
            value = request.body.get(field)
            if isinstance(value, int | float):
                about[f"gen_ai.request.{field}"] = value
        return _Call(self.name, model, self._metrics, self._tracer.begin(f"chat {model}", SpanKind.CLIENT, about))


class ObservedReviewLLM:
    """Implements `ReviewLLM`: each handing over is counted and traced as a call of `model`, and takes
    as long as that LLM took to accept it."""

    def __init__(self, llm: ReviewLLM, model: str, metrics: Metrics, tracer: Tracer) -> None:
        self._llm = llm
        self._model = model
        self._metrics = metrics
        self._tracer = tracer
        self.name = llm.name

    async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
        about = {"gen_ai.operation.name": "review", "gen_ai.provider.name": self.name}
        span = self._tracer.begin(f"review {self.name}", SpanKind.CLIENT, about)
        call = _Call(self.name, self._model, self._metrics, span)
        try:
            await self._llm.submit(job_id, callback_url, review, timeout)
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(None, None, None)

    async def close(self) -> None:
        await self._llm.close()


class _Call:
    """One call under way."""

    def __init__(self, provider: str, model: str, metrics: Metrics, span: Span) -> None:
        self._provider = provider
        self._model = model
        self._metrics = metrics
        self._span = span
        self._started = time.perf_counter()
        self._first_token: float | None = None

    def spoke(self) -> None:
        if self._first_token is None:
            self._first_token = time.perf_counter() - self._started

    def answered(self, model: str | None, usage: Usage | None, finish_reason: str | None) -> None:
        about: dict[str, str | int | float | Sequence[str]] = {"gen_ai.response.model": model} if model else {}
        if usage is not None:
            about["gen_ai.usage.input_tokens"] = usage.prompt_tokens
            about["gen_ai.usage.output_tokens"] = usage.completion_tokens
        if finish_reason is not None:
            about["gen_ai.response.finish_reasons"] = [finish_reason]
        self._span.note(about)
        self._end(usage, None)

    def failed(self, error: BaseException) -> None:
        """Also for a caller that hung up, or a lease that was lost."""
        match error:
            case ProviderError():
                code = error.failure.code
            case asyncio.CancelledError() | GeneratorExit():
                code = ErrorCode.CANCELLED
            case _:
                code = ErrorCode.INTERNAL
        self._span.fail(code.value)
        self._end(None, code)

    def _end(self, usage: Usage | None, code: ErrorCode | None) -> None:
        seconds = time.perf_counter() - self._started
        self._metrics.called(LLMCall(self._provider, self._model, seconds, self._first_token, usage, code))
        self._span.end()
