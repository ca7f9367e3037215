"""Reading the response of a streamed completion: as far as it comes, and for a while beyond the answer's end."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from answerback.kernel.allowance import Allowance
from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import completions
from answerback.llm.answers.charsets import in_utf8
from answerback.llm.answers.chunk_reader import ChunkReader
from answerback.llm.answers.framing import is_event_stream
from answerback.llm.answers.sse import first_data
from answerback.llm.errors.failures import read_document
from answerback.llm.model import Chunk, Expected
from answerback.llm.transport import OpenResponse

END_SECONDS = 3.0
"""How long the usage and the end of the body are waited for after the `finish_reason`."""

A_TURN = 64
"""How many chunks are read in one turn of the event loop: thousands may have come at once."""

CHUNKS_A_SECOND, CHUNKS_AT_ONCE = 5_000, 2_000
"""How many chunks of a stream are read: one that never pauses would slow down all others. No model is as fast."""

BYTES_OF_A_CHUNK = 1024
"""So many bytes count as one more, and so does each choice beside the first: either takes as long as a token."""

TAIL_SECONDS = 0.05
"""How long the usage is waited for after `[DONE]`: it is there already, or does not come."""


async def chunks(response: OpenResponse, now: Callable[[], int], expected: Expected) -> AsyncGenerator[Chunk, None]:
    """The chunks of a streamed completion; closes the response. Raises ProviderError where the stream breaks.

    Chunks before the first token are held back until it comes: until then a failure, or an empty answer, fails the
    whole call, which may be made again.
    """
    stream = ChunkReader(now, expected)
    try:
        if not 200 <= response.status < 300:
            body, broken = await response.read_what_came()
            read_document(response, first_data(in_utf8(body, response.headers)), now(), broken)
        if await is_event_stream(response):
            source, turns = _Source(response, stream), _Turns(response)
            while received := await source.more():
                turns.came(len(received))
                for chunk in stream.read(received):
                    yield chunk
                    await turns.read_one(chunk)
                    # Until the next one comes it may be long, and thousands of streams may wait.
                    del chunk
            # At the end of its time a call is over for its readers, too: half an event would come too late.
            if received is not None and not source.late:
                for chunk in stream.end():
                    yield chunk
            if source.broken is not None and not stream.done and not stream.complete:
                raise completions.broken_within(source.broken) if stream.speaks else source.broken
        else:
            async for chunk in _of_body(response, stream, now):
                yield chunk
        stream.check_whole()
    finally:
        response.close()


class _Turns:
    """Shares the event loop between the streams, and lets it turn once the first token has been taken: that leaves
    before what came with it is read."""

    def __init__(self, response: OpenResponse) -> None:
        self._unpaid = 0.0
        self._brought = 0.0
        self._speaks = False
        self._own = Allowance(CHUNKS_A_SECOND, CHUNKS_AT_ONCE)
        self._response = response

    def came(self, size: int) -> None:
        """So many bytes, of whatever number of chunks."""
        self._unpaid += size / BYTES_OF_A_CHUNK

    async def read_one(self, chunk: Chunk) -> None:
        if not self._speaks and chunk.text:
            self._speaks = True
            await asyncio.sleep(0)
        self._unpaid += max(1, len(chunk.document.get("choices") or ()))
        if self._unpaid >= A_TURN:
            pieces, self._unpaid = self._unpaid, 0.0
            await asyncio.sleep(min(self._rest_after(pieces), self._response.seconds_left))

    def _rest_after(self, pieces: float) -> float:
        now = asyncio.get_running_loop().time()
        self._brought += pieces
        rest = self._own.rest_after(pieces, now)
        return rest if self._brought <= CHUNKS_AT_ONCE else max(rest, self._response.streamed.rest_after(pieces, now))


async def _of_body(response: OpenResponse, stream: ChunkReader, now: Callable[[], int]) -> AsyncGenerator[Chunk, None]:
    """The chunks of a body that is no event stream. Raises ProviderError."""
    body, broken = await response.read_what_came()
    body = in_utf8(body, response.headers)
    completions.check_values(body)
    async for chunk in in_turn(stream.read_whole(body)):
        yield chunk
    if not stream.began:
        if broken is not None:
            raise completions.broken_within(broken)
        completions.check_structure(body)
        read_document(response, body, now())


async def in_turn(read: Iterable[Chunk]) -> AsyncGenerator[Chunk, None]:
    """The chunks of a whole body, a few in each turn of the event loop."""
    for number, chunk in enumerate(read, 1):
        yield chunk
        if not number % A_TURN:
            await asyncio.sleep(0)


class _Source:
    """The bytes of a stream. Once the answer is whole, what follows is waited for only for a while."""

    def __init__(self, response: OpenResponse, stream: ChunkReader) -> None:
        self._response = response
        self._stream = stream
        self._complete = False
        self._done = False
        self._until = 0.0
        self.broken: ProviderError | None = None
        """Why there is no more: the connection broke, or the time was over."""

    @property
    def late(self) -> bool:
        return self.broken is not None and self.broken.failure.code is ErrorCode.UPSTREAM_TIMEOUT

    async def more(self) -> bytes | None:
        """What comes next; nothing at the body's end, or where the body breaks. None: the answer is whole, and no more
        is waited for, or the connection broke."""
        stream = self._stream
        if not stream.done and not stream.complete:
            self._complete = False
            try:
                return await (self._behind_the_last() if stream.lacks_a_newline else self._response.read_some())
            except ProviderError as error:
                self.broken = error
                return b""
        if (stream.done and stream.counted) or stream.filled:
            return None
        if (self._complete, self._done) != (stream.complete, stream.done):
            self._complete, self._done = stream.complete, stream.done
            self._until = asyncio.get_running_loop().time() + (TAIL_SECONDS if self._done else END_SECONDS)
        elif asyncio.get_running_loop().time() >= self._until:
            # A read that finds something waiting never pauses, and no timeout would end it.
            return None
        try:
            async with asyncio.timeout_at(self._until):
                return await self._response.read_some()
        except (TimeoutError, ProviderError):
            return None

    async def _behind_the_last(self) -> bytes:
        """What comes behind the answer's last event, whose newlines are missing; nothing, as at the body's end, where
        nothing comes for a while. Raises ProviderError."""
        try:
            async with asyncio.timeout(END_SECONDS):
                return await self._response.read_some()
        except TimeoutError:
            return b""
