"""Counting and tracing the calls of upstreams."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import UNTRACED, Attributes, LLMCall, Span, SpanKind
from answerback.llm.answers.finish_reasons import Finish, classify, shown
from answerback.llm.health import Health
from answerback.llm.model import Api, ChatRequest, ModelList
from answerback.llm.provider import Provider
from answerback.llm.reply import Reply, StreamedReply

OPERATIONS: Mapping[Api, str] = {
    Api.CHAT: "chat",
    Api.COMPLETIONS: "text_completion",
    Api.EMBEDDINGS: "embeddings",
}
"""Their names in the GenAI semantic conventions."""

MOST_UNKNOWN_WORDS = 100
"""How many unknown words of a provider are logged: it chooses them."""


class ObservedProvider:
    """Implements `Provider` over another one, whose calls it counts and traces by the GenAI semantic conventions of
    OpenTelemetry; `health` remembers how they went. `default_model` answers requests that name none."""

    def __init__(
        self, provider: Provider, default_model: str, instruments: Instruments, health: Health | None = None
    ) -> None:
        self._provider = provider
        self._default_model = default_model
        self._instruments = instruments
        self._unknown_words: set[str] = set()
        self.name = provider.name
        self._health = health or Health(instruments.clock)
        self._health.add(self.name)

    async def send(self, request: ChatRequest) -> Reply:
        named = request.body.get("model")
        model = named if isinstance(named, str) and named else self._default_model
        span = None if self._instruments.tracer is UNTRACED else self._begin_span(request, model)
        call = ObservedCall(self.name, model, self._instruments, span, self._health)
        try:
            reply = await self._provider.send(request)
        except BaseException as error:
            call.end(error)
            raise
        if isinstance(reply, StreamedReply):
            call.first_token()
            reply.when_over(lambda error: call.end(error, reply))
            reply.when_over(lambda _: self._note(reply))
        else:
            call.end(None, reply)
            self._note(reply)
        return reply

    def _begin_span(self, request: ChatRequest, model: str) -> Span:
        attributes: dict[str, str | int | float | Sequence[str]] = {
            "gen_ai.operation.name": OPERATIONS[request.api],
            "gen_ai.provider.name": self.name,
            "gen_ai.request.model": model,
        }
        for field in ("temperature", "max_tokens"):
            value = request.body.get(field)
            if isinstance(value, int | float):
                attributes[f"gen_ai.request.{field}"] = value
        return self._instruments.tracer.begin(f"{OPERATIONS[request.api]} {model}", SpanKind.CLIENT, attributes)

    def _note(self, reply: Reply) -> None:
        """Logs a `finish_reason` of no known meaning, once a word, so that it gets one."""
        word = reply.finish_word
        if word is None or word in self._unknown_words or classify(word) is not Finish.UNKNOWN:
            return
        if len(self._unknown_words) < MOST_UNKNOWN_WORDS:
            self._unknown_words.add(word)
            self._instruments.log.warning("finish_reason_unknown", provider=self.name, word=shown(word))

    async def models(self) -> ModelList:
        try:
            listed = await self._provider.models()
        except ProviderError as error:
            self._health.listed(self.name, error)
            raise
        self._health.listed(self.name, None)
        return listed

    async def close(self) -> None:
        await self._provider.close()


class ObservedCall:
    """One call under way; its end counts it, ends its span, and logs why it failed: for the operator, who sees the
    provider's address and its own text."""

    def __init__(
        self, provider: str, model: str, instruments: Instruments, span: Span | None, health: Health | None = None
    ) -> None:
        self._provider = provider
        self._model = model
        self._metrics = instruments.metrics
        self._log = instruments.log
        self._span = span
        self._health = health
        self._started = time.perf_counter()
        self._first_token_seconds: float | None = None

    def first_token(self) -> None:
        self._first_token_seconds = time.perf_counter() - self._started

    def end(self, error: BaseException | None, reply: Reply | None = None) -> None:
        """`error` broke the call; a cancellation is one, as after a hang-up or a lost lease."""
        seconds = time.perf_counter() - self._started
        code = None if error is None else _code(error)
        usage = reply.usage if reply is not None and code is None else None
        call = LLMCall(self._provider, self._model, seconds, self._first_token_seconds, usage, code)
        self._metrics.called(call)
        if self._health is not None:
            self._health.called(call, error)
        if self._span is not None:
            _end(self._span, code, reply)
        if isinstance(error, ProviderError):
            self._report(error)

    def _report(self, error: ProviderError) -> None:
        fields: dict[str, object] = {"provider": self._provider, "model": self._model, "code": error.failure.code.value}
        if error.http_status is not None:
            fields["status"] = error.http_status
        fields["reason"] = error.for_operator
        if error.reason is not None and error.reason != error.failure.message:
            fields["upstream"] = error.reason
        for name in ("param", "upstream_code"):
            if (value := getattr(error.failure, name)) is not None:
                fields[name] = value
        self._log.warning("llm_call_failed", **fields)


def _end(span: Span, code: ErrorCode | None, reply: Reply | None) -> None:
    if code is not None:
        span.fail(code.value)
    elif reply is not None:
        span.note(_attributes(reply))
    span.end()


def _attributes(reply: Reply) -> Attributes:
    attributes: dict[str, str | int | float | Sequence[str]] = {}
    if reply.model:
        attributes["gen_ai.response.model"] = reply.model
    if reply.usage is not None:
        attributes["gen_ai.usage.input_tokens"] = reply.usage.prompt_tokens
        attributes["gen_ai.usage.output_tokens"] = reply.usage.completion_tokens
    if reply.finish_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = [reply.finish_reason]
    return attributes


def _code(error: BaseException) -> ErrorCode:
    match error:
        case ProviderError():
            return error.failure.code
        case asyncio.CancelledError() | GeneratorExit():
            return ErrorCode.CANCELLED
        case _:
            return ErrorCode.INTERNAL
