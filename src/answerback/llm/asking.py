"""Asking at once: what the synchronous doors share. Short retries, before the first word only."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from answerback.kernel.errors import UNUSABLE, Failure, ProviderError
from answerback.kernel.log import Log
from answerback.llm.model import Answer, ChatRequest, Chunk, Json, Model, Relayed, Usage
from answerback.llm.provider import Provider

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShortRetries:
    """How a synchronous call tries again: `retries` besides the first try; waits in seconds."""

    retries: int
    first: float
    limit: float
    multiplier: float


@dataclass(frozen=True, slots=True)
class Timed:
    """A whole answer and how long its last try took: waits between tries are not the LLM's latency."""

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
    failure: Failure | None = None


MEASURED_TEXT = 32_000
"""As much of an answer as a spreadsheet's cell can hold."""


class Asker:
    """One request path for every synchronous door. `timeout` bounds one call, in seconds. `timer` tells seconds that
    never jump; `sleep` is what waits between tries."""

    def __init__(
        self,
        provider: Provider,
        retries: ShortRetries,
        timeout: float,
        log: Log,
        *,
        timer: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._retries = retries
        self._timeout = timeout
        self._log = log
        self._timer = timer
        self._sleep = sleep

    async def ask(self, body: Mapping[str, Json]) -> Timed:
        """A whole answer, read. Raises ProviderError once the tries are used up or would not help."""

        async def once() -> Timed:
            started = self._timer()
            answer = await self._provider.complete(self._request(body))
            return Timed(answer, self._timer() - started)

        timed = await self._persistently(once)
        self._report("asked", timed.answer.model, timed.seconds, timed.answer.usage)
        return timed

    async def relay(self, body: Mapping[str, Json]) -> Relayed:
        """A whole answer as the upstream sent it. Raises ProviderError."""
        started = self._timer()
        relayed = await self._persistently(lambda: self._provider.relay(self._request(body)))
        self._report("relayed", relayed.model, self._timer() - started, relayed.usage)
        return relayed

    async def stream(self, body: Mapping[str, Json]) -> AsyncGenerator[Chunk, None]:
        """An open stream whose first chunk has come, so that until then an error is an error and not half an answer.

        Raises ProviderError; so does the stream, and then it is over. Close it to stop the upstream call.
        """

        async def opened() -> tuple[Chunk, AsyncGenerator[Chunk, None]]:
            stream = self._provider.stream(self._request(body))
            return await anext(stream), stream

        started = self._timer()
        first, rest = await self._persistently(opened)
        return self._told(first, rest, started)

    async def measure(self, body: Mapping[str, Json]) -> Measured:
        """What a question takes, streamed. A stream that breaks is tried again like any failure: nobody has read it."""
        tries, started = 0, 0.0

        async def once() -> Measured:
            nonlocal tries, started
            tries, started = tries + 1, self._timer()
            text, model, usage, first = "", None, None, None
            async with aclosing(self._provider.stream(self._request(body))) as chunks:
                async for chunk in chunks:
                    if first is None:
                        first = self._timer() - started
                    if len(text) < MEASURED_TEXT:
                        text += chunk.text
                    model, usage = model or chunk.model, chunk.usage or usage
            seconds = self._timer() - started
            return Measured(tries, seconds, seconds if first is None else first, text[:MEASURED_TEXT], model, usage)

        try:
            measured = await self._persistently(once)
        except ProviderError as error:
            return Measured(tries, self._timer() - started, 0.0, failure=error.failure)
        self._report("measured", measured.model, measured.seconds, measured.usage)
        return measured

    async def models(self) -> Sequence[Model]:
        """What can be asked. Raises ProviderError."""
        return await self._persistently(self._provider.models)

    async def _told(
        self, first: Chunk, rest: AsyncGenerator[Chunk, None], started: float
    ) -> AsyncGenerator[Chunk, None]:
        model, usage = first.model, first.usage
        try:
            yield first
            async for chunk in rest:
                model, usage = model or chunk.model, chunk.usage or usage
                yield chunk
        except ProviderError as error:
            ms = int((self._timer() - started) * 1000)
            self._log.warning("stream_broke", code=error.failure.code.value, ms=ms)
            raise
        finally:
            await rest.aclose()
        self._report("streamed", model, self._timer() - started, usage)

    def _request(self, body: Mapping[str, Json]) -> ChatRequest:
        return ChatRequest(body, self._timeout)

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception(self._worth_another_try),
            wait=self._wait,
            before_sleep=self._report_retry,
            stop=stop_after_attempt(self._retries.retries + 1),
            reraise=True,
        )

        async def attempt() -> T:
            # tenacity awaits what is a coroutine function by its looks, which a lambda is not.
            return await call()

        return await retrying(attempt)

    def _worth_another_try(self, error: BaseException) -> bool:
        """An answer of no use is told, since the next may be as useless and is paid for as well. So is a wait that the
        upstream asks for and no caller would sit through."""
        if not isinstance(error, ProviderError) or not error.retryable or error.failure.code in UNUSABLE:
            return False
        return error.retry_after is None or error.retry_after <= self._retries.limit

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        backoff = wait_exponential_jitter(
            multiplier=self._retries.first,
            max=self._retries.limit,
            exp_base=self._retries.multiplier,
            jitter=self._retries.first,
        )(state)
        asked = error.retry_after if isinstance(error, ProviderError) else None
        return backoff if asked is None else max(backoff, asked)

    def _report_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ProviderError) and state.next_action:
            retry_in = round(state.next_action.sleep, 3)
            self._log.warning("asked_again", code=error.failure.code.value, retry_in=retry_in)

    def _report(self, event: str, model: str | None, seconds: float, usage: Usage | None) -> None:
        tokens = usage.total_tokens if usage else None
        self._log.info(event, model=model, ms=int(seconds * 1000), tokens=tokens)
