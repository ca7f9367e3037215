"""Calls of an LLM while a caller waits, for all synchronous routes: short retries, only before the first token."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from answerback.kernel.current_request import CURRENT_REQUEST
from answerback.kernel.errors import UNUSABLE, ErrorCode, Failure
from answerback.kernel.instruments import Instruments
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import ShortRetries
from answerback.kernel.telemetry import ANSWERED, JobEnd
from answerback.kernel.usage import Usage
from answerback.llm.answers import completions
from answerback.llm.model import Answer, Api, ChatRequest, FinishReason, ModelList
from answerback.llm.provider import Provider, send_streamed, send_whole
from answerback.llm.reply import StreamedReply, WholeReply

T = TypeVar("T")

TIMER_SLACK = 0.005
"""Seconds added to a wait whose end is known: an event loop's timers may fire a millisecond or two early."""

MEASURED_TEXT = 32_000
"""How many characters of an answer are kept: a spreadsheet's cell holds few more."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A whole answer, its text, and how long its last try took, without the waits between tries."""

    text: str
    answer: Answer
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One question, streamed to its end or failed for good. Times in seconds are the last try's: from its beginning to
    its first token and to its end. `text` holds at most `MEASURED_TEXT` characters; `model` is the one that answered.
    `failure` is None for an answer."""

    tries: int
    seconds: float
    first_token_seconds: float
    text: str = ""
    model: str | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class StreamedText:
    """The text of an open stream, piece by piece. `finish_reason` is known once all have come."""

    pieces: AsyncGenerator[str, None]
    reply: StreamedReply

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.reply.finish_reason


def uncounted(_: JobEnd) -> None:
    """Nobody looks at how calls end."""


class Asker:
    """One request path for every synchronous route. Bodies are those of OpenAI chat completion requests. `timeout`
    bounds one call, in seconds, and how long a caller waits for places at the upstream. `ended` counts how calls end;
    tests replace `sleep`."""

    def __init__(
        self,
        provider: Provider,
        retries: ShortRetries,
        timeout: float,
        instruments: Instruments,
        *,
        ended: Callable[[JobEnd], None] = uncounted,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._retries = retries
        self._timeout = timeout
        self._log = instruments.log
        self._monotonic = instruments.clock.monotonic
        self._ended = ended
        self._sleep = sleep

    async def ask(self, tenant_id: str, body: Mapping[str, Json]) -> Timed:
        """A whole answer in text. Raises ProviderError once the tries are used up or would not help."""
        request = ChatRequest(body, self._timeout, tenant_id)

        async def attempt() -> Timed:
            started = self._monotonic()
            answer = (await send_whole(self._provider, request)).answer()
            if answer.text is None:
                raise _calls_only()
            return Timed(answer.text, answer, self._monotonic() - started)

        timed = await self._retried(tenant_id, attempt)
        self._report(tenant_id, timed.answer, timed.seconds)
        return timed

    async def relay(
        self,
        tenant_id: str,
        body: Mapping[str, Json],
        api: Api = Api.CHAT,
        optional: frozenset[str] = frozenset(),
    ) -> WholeReply:
        """A whole answer as the upstream sent it; `optional` as in `ChatRequest`. Raises ProviderError."""
        started = self._monotonic()
        request = ChatRequest(body, self._timeout, tenant_id, optional=optional, api=api)
        reply = await self._retried(tenant_id, lambda: send_whole(self._provider, request))
        self._report(tenant_id, reply, self._monotonic() - started)
        return reply

    async def stream(
        self,
        tenant_id: str,
        body: Mapping[str, Json],
        optional: frozenset[str] = frozenset(),
        api: Api = Api.CHAT,
    ) -> StreamedReply:
        """An open stream whose first token has come; `optional` as in `ChatRequest`. Raises ProviderError, as the
        stream does if it breaks. Close it to stop the upstream call."""
        started = self._monotonic()
        request = ChatRequest(body, self._timeout, tenant_id, stream=True, optional=optional, api=api)
        reply = await self._retried(tenant_id, lambda: send_streamed(self._provider, request))

        def report(error: BaseException | None) -> None:
            seconds = self._monotonic() - started
            if error is None:
                self._report(tenant_id, reply, seconds)
            elif isinstance(error, ProviderError):
                self._ended(JobEnd(tenant_id, error.failure.code))
                self._log.warning("stream_broke", code=error.failure.code.value, ms=int(seconds * 1000))

        reply.when_over(report)
        return reply

    async def stream_text(self, tenant_id: str, body: Mapping[str, Json]) -> StreamedText:
        """The text of an open stream, once its first words have come: a model may think, call tools or stop without any
        text. Raises ProviderError, as its pieces do if the text is not whole. Close them to stop the upstream call."""
        reply = await self.stream(tenant_id, body)
        blank: list[str] = []
        try:
            async for chunk in reply:
                blank.append(chunk.text)
                if chunk.text.strip():
                    return StreamedText(_text("".join(blank), reply), reply)
            raise _calls_only() if reply.finish_reason == "tool_calls" else completions.without_text(reply.finish)
        except BaseException:
            await reply.aclose()
            raise

    async def measure(self, tenant_id: str, body: Mapping[str, Json]) -> Measured:
        """Measures one streamed answer, or a whole one where an upstream refuses to stream. A stream that breaks is
        tried again like any failure, since no client has read from it."""
        request = ChatRequest(body, self._timeout, tenant_id, stream=True, optional=frozenset({"stream"}))
        tries, started = 0, 0.0

        async def attempt() -> Measured:
            nonlocal tries, started
            tries, started = tries + 1, self._monotonic()
            text = ""
            async with aclosing(await send_streamed(self._provider, request)) as reply:
                first_token_seconds = self._monotonic() - started
                async for chunk in reply:
                    if len(text) < MEASURED_TEXT:
                        text += chunk.text
            seconds = self._monotonic() - started
            kept, finish = text[:MEASURED_TEXT], reply.finish_reason
            return Measured(tries, seconds, first_token_seconds, kept, reply.model, reply.usage, finish)

        try:
            measured = await self._retried(tenant_id, attempt)
        except ProviderError as error:
            return Measured(tries, self._monotonic() - started, 0.0, failure=error.failure)
        # The request of a benchmark asks for many answers, each of which gets a line.
        self._report(tenant_id, measured, measured.seconds, noted=False)
        return measured

    async def models(self) -> ModelList:
        """The models that the provider lists. Raises ProviderError."""
        return await self._tried(self._provider.models)

    async def _retried(self, tenant_id: str, call: Callable[[], Awaitable[T]]) -> T:
        """As `_tried`; a failure is counted."""
        try:
            return await self._tried(call)
        except ProviderError as error:
            self._ended(JobEnd(tenant_id, error.failure.code))
            raise

    async def _tried(self, call: Callable[[], Awaitable[T]]) -> T:
        """A refusal of our own limiter spends no try: the upstream was not asked."""
        tries, give_up_at = 0, self._monotonic() + self._timeout
        while True:
            try:
                return await call()
            except ProviderError as error:
                tries += error.asked or error.failure.code is not ErrorCode.UPSTREAM_RATE_LIMITED
                # An unusable answer is not asked for again: the next may be as unusable, and is paid for as well.
                if not error.retryable or error.failure.code in UNUSABLE:
                    raise
                error.exhausted = error.asked and tries > self._retries.retries
                delay = self._retries.delay(max(1, tries), error.retry_after, random.random)
                if delay is None or (not error.asked and self._monotonic() + delay >= give_up_at):
                    raise
                if error.retry_after is not None:
                    delay += TIMER_SLACK
                self._log.warning("call_retried", code=error.failure.code.value, retry_in=round(delay, 3))
            await self._sleep(delay)

    def _report(
        self,
        tenant_id: str,
        answer: Answer | WholeReply | StreamedReply | Measured,
        seconds: float,
        *,
        noted: bool = True,
    ) -> None:
        """Notes an answer on the line of its request; one without such a line gets one of its own."""
        usage, finish = answer.usage, answer.finish_reason
        self._ended(JobEnd(tenant_id, ANSWERED, usage))
        ms, tokens = int(seconds * 1000), usage.total_tokens if usage else None
        request = CURRENT_REQUEST.get() if noted else None
        if request is None:
            self._log.info("answered", model=answer.model, ms=ms, tokens=tokens, finish=finish)
        else:
            request.notes.update(model=answer.model, tokens=tokens, finish=finish, llm_ms=ms)


def _calls_only() -> ProviderError:
    # No tools were offered; asking again would get, and cost, the same.
    words = "the model called a tool in place of an answer in text; ask another model, or POST /v1/chat/completions, "
    return ProviderError(ErrorCode.UPSTREAM_EMPTY, words + "which passes tool calls on", retryable=False)


async def _text(first: str, reply: StreamedReply) -> AsyncGenerator[str, None]:
    try:
        yield first
        async for chunk in reply:
            if chunk.text:
                yield chunk.text
            del chunk
    finally:
        await reply.aclose()
