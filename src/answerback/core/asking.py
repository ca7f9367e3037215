"""Asking at once: what the synchronous doors share. Short retries, before the first word only."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from answerback.domain.chat import Answer, ChatRequest, Chunk, Json, Model, Relayed, Usage
from answerback.domain.errors import ProviderError
from answerback.ports import Log, Provider

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


class Asker:
    """One request path for every synchronous door. `timeout` bounds one call, in seconds."""

    def __init__(self, provider: Provider, retries: ShortRetries, timeout: float, log: Log) -> None:
        self._provider = provider
        self._retries = retries
        self._timeout = timeout
        self._log = log

    async def ask(self, body: Mapping[str, Json]) -> Timed:
        """A whole answer, read. Raises ProviderError once the tries are used up or would not help."""

        async def once() -> Timed:
            started = time.perf_counter()
            answer = await self._provider.complete(self._request(body))
            return Timed(answer, time.perf_counter() - started)

        timed = await self._persistently(once)
        self._report("asked", timed.answer.model, timed.seconds, timed.answer.usage)
        return timed

    async def relay(self, body: Mapping[str, Json]) -> Relayed:
        """A whole answer as the upstream sent it. Raises ProviderError."""
        started = time.perf_counter()
        relayed = await self._persistently(lambda: self._provider.relay(self._request(body)))
        self._report("relayed", relayed.model, time.perf_counter() - started, relayed.usage)
        return relayed

    async def stream(self, body: Mapping[str, Json]) -> AsyncGenerator[Chunk, None]:
        """An open stream whose first chunk has come, so that until then an error is an error and not half an answer.

        Raises ProviderError; so does the stream, and then it is over. Close it to stop the upstream call.
        """

        async def opened() -> tuple[Chunk, AsyncGenerator[Chunk, None]]:
            stream = self._provider.stream(self._request(body))
            return await anext(stream), stream

        started = time.perf_counter()
        first, rest = await self._persistently(opened)
        return self._told(first, rest, started)

    async def models(self) -> Sequence[Model]:
        """What can be asked. Raises ProviderError."""
        return await self._persistently(self._provider.models)

    async def _told(
        self, first: Chunk, rest: AsyncGenerator[Chunk, None], started: float
    ) -> AsyncGenerator[Chunk, None]:
        usage = first.usage
        try:
            yield first
            async for chunk in rest:
                usage = chunk.usage or usage
                yield chunk
        finally:
            await rest.aclose()
        self._report("streamed", None, time.perf_counter() - started, usage)

    def _request(self, body: Mapping[str, Json]) -> ChatRequest:
        return ChatRequest(body, self._timeout)

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._worth_another_try),
            wait=self._wait,
            stop=stop_after_attempt(self._retries.retries + 1),
            reraise=True,
        )
        return await retrying(call)

    def _worth_another_try(self, error: BaseException) -> bool:
        """A wait that the upstream asks for and no caller would sit through is told to the caller instead."""
        if not isinstance(error, ProviderError) or not error.retryable:
            return False
        return error.retry_after is None or error.retry_after <= self._retries.limit

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        backoff = wait_exponential_jitter(
            self._retries.first, self._retries.limit, self._retries.multiplier, self._retries.first
        )(state)
        asked = error.retry_after if isinstance(error, ProviderError) else None
        wait = backoff if asked is None else max(backoff, asked)
        if isinstance(error, ProviderError):
            self._log.warning("asked_again", code=error.failure.code.value, retry_in=round(wait, 3))
        return wait

    def _report(self, event: str, model: str | None, seconds: float, usage: Usage | None) -> None:
        tokens = usage.total_tokens if usage else None
        self._log.info(event, model=model, ms=int(seconds * 1000), tokens=tokens)
