"""An upstream's replies: a whole completion, or a stream of chunks. Both hold the upstream's own bytes, and are parsed
only as far as a caller asks."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypeAlias

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.answers import completions
from answerback.llm.answers.finish_reasons import Finish, classify, normalised, reason_of, word_of
from answerback.llm.answers.usage_fields import usage, usage_of
from answerback.llm.model import Answer, Chunk, FinishReason, name

MAY_BE_FOLLOWED = frozenset({None, Finish.DONE, Finish.UNKNOWN})
"""Ends that another one replaces: a cut answer stays one, whatever an upstream says later."""

OnEnd: TypeAlias = Callable[[BaseException | None], None]
"""Called once when a call is over: with the error that broke it, with GeneratorExit if its reader left early, else with
None."""


class WholeReply:
    """A whole completion that `read_completion` has taken. `body` is the upstream's JSON, `document` the same decoded.
    `model` is the one that answered, or `asked_model` if the upstream does not name it. `finish_word` is the word for
    the end of the first choice: OpenAI's, or the upstream's own one of unknown meaning. `left_out` are fields of the
    request that the upstream does not take."""

    def __init__(self, body: bytes, document: Mapping[str, Json], asked_model: str) -> None:
        self.left_out: frozenset[str] = frozenset()
        self.body = body
        self.document = document
        self.model = name(document.get("model")) or asked_model
        self.usage = self._usage()
        self.finish_word, self.finish_reason = self._end()

    def answer(self) -> Answer:
        """The first choice. Raises ProviderError if it holds neither text nor tool calls."""
        return completions.answer(self.document["choices"][0], self.model, self.usage)

    def _usage(self) -> Usage | None:
        return usage_of(self.document)

    def _end(self) -> tuple[str | None, FinishReason | None]:
        choice = self.document["choices"][0]
        reason, message = reason_of(choice), choice["message"]
        calls = message.get("tool_calls") or message.get("function_call")
        return word_of(reason), normalised(classify(reason), calls_tools=bool(calls))


class EmbeddingsReply(WholeReply):
    """Whole embeddings, which `embeddings.check` has passed: they have no choices, and so no end."""

    def _usage(self) -> Usage | None:
        counts = self.document.get("usage")
        return usage({**counts, "completion_tokens": 0}) if isinstance(counts, dict) else None

    def _end(self) -> tuple[None, None]:
        return None, None


class StreamedReply:
    """A streamed completion whose first token has come; an iterator of its chunks, to be closed by its reader.

    It ends only after a `finish_reason`, and raises ProviderError if it breaks. Its call ends `timeout` seconds after
    it began, even if the reader asks for no more chunks: a reader that stops cannot hold the call open. `model`,
    `usage`, `finish` and the upstream's word for it are those that have come so far. `left_out` as of a WholeReply.
    """

    def __init__(self, first: Chunk, rest: AsyncGenerator[Chunk, None], timeout: float, deadline: float) -> None:
        self.left_out: frozenset[str] = frozenset()
        self._first: Chunk | None = first
        self._rest = rest
        self._timeout = timeout
        self._on_end: list[OnEnd] = []
        self._reading = False
        self._over = False
        self._expired = False
        self._error: ProviderError | None = None
        self._closing: asyncio.Future[None] | None = None
        self._calls_tools = False
        self.finish: Finish | None = None
        self.finish_word: str | None = None
        self.model: str | None = None
        self.usage: Usage | None = None
        self._note(first)
        self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    @classmethod
    async def open(cls, chunks: AsyncGenerator[Chunk, None], timeout: float, deadline: float) -> "StreamedReply":
        """Waits for the first token; a failure before it fails the whole call. `deadline` is the event loop's time at
        which the call has lasted `timeout` seconds. Raises ProviderError."""
        return cls(await anext(chunks), chunks, timeout, deadline)

    @property
    def finish_reason(self) -> FinishReason | None:
        """None as long as the answer has not ended."""
        return None if self.finish is None else normalised(self.finish, calls_tools=self._calls_tools)

    def when_over(self, call: OnEnd) -> None:
        self._on_end.append(call)

    def __aiter__(self) -> "StreamedReply":
        return self

    async def __anext__(self) -> Chunk:
        if self._over:
            if self._closing is not None:
                await self._closing
            error, self._error = self._error, None
            raise error or StopAsyncIteration
        if self._first is not None:
            first, self._first = self._first, None
            return first
        self._reading = True
        try:
            chunk = await anext(self._rest)
            if self._expired:
                await self._rest.aclose()
                raise self._too_late()
        except StopAsyncIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        finally:
            self._reading = False
        self._note(chunk)
        return chunk

    async def aclose(self) -> None:
        """Stops the upstream's call."""
        self._error = None
        if not self._over:
            self._end(GeneratorExit())
        if self._closing is not None:
            await self._closing
        await self._rest.aclose()

    def _note(self, chunk: Chunk) -> None:
        self.model = self.model or chunk.model
        self.usage = chunk.usage or self.usage
        self._calls_tools = self._calls_tools or chunk.calls_tools
        if chunk.finish_reason is not None and self.finish in MAY_BE_FOLLOWED:
            self.finish_word, self.finish = chunk.finish_reason, classify(chunk.finish_reason)

    def _expire(self) -> None:
        self._expired = True
        # A read under way has a timeout of its own, which ends at the same time.
        if not self._reading:
            self._error = self._too_late()
            self._end(self._error)
            self._closing = asyncio.ensure_future(self._rest.aclose())

    def _too_late(self) -> ProviderError:
        words = f"the upstream's answer was not read to its end within {self._timeout:g} s"
        return ProviderError(ErrorCode.UPSTREAM_TIMEOUT, words, retryable=True)

    def _end(self, error: BaseException | None) -> None:
        self._over = True
        self._first = None
        self._timer.cancel()
        # They refer to the reply, which would wait for the garbage collector with them.
        on_end, self._on_end = self._on_end, []
        for call in on_end:
            call(error)


Reply: TypeAlias = WholeReply | StreamedReply
