"""A stream that ends in time whether or not anybody reads it."""

import asyncio
from collections.abc import AsyncGenerator

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm.model import Chunk


async def in_time(chunks: AsyncGenerator[Chunk, None], seconds: float) -> AsyncGenerator[Chunk, None]:
    """The chunks, closed after `seconds` at the latest: also while nobody asks for the next one, so that a caller that
    stops reading cannot hold a call. Raises ProviderError (`upstream_timeout`) then, to whoever asks again.

    While the next one is waited for, it is their own timeout that ends them.
    """
    over = held = False
    closing: asyncio.Future[None] | None = None

    def end() -> None:
        nonlocal over, closing
        over = True
        if held:
            closing = asyncio.ensure_future(chunks.aclose())

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        async for chunk in chunks:
            if not over:
                held = True
                yield chunk
                held = False
            if over:
                words = f"the upstream's answer was not read to its end within {seconds:g} s"
                raise ProviderError(ErrorCode.UPSTREAM_TIMEOUT, words, retryable=True)
    finally:
        timer.cancel()
        if closing is not None:
            await closing
        await chunks.aclose()
