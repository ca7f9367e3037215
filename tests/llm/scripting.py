"""What a scripted provider replies with, and how a test reads it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from answerback.llm.model import Answer, ChatRequest, Chunk, Usage
from answerback.llm.provider import Provider, send_streamed, send_whole
from answerback.llm.reply import StreamedReply

HOUR = 3600.0


def chunk(text: str = "", finish_reason: str | None = None, usage: Usage | None = None, **fields: Any) -> Chunk:
    document = {"choices": [{"delta": {"content": text}, "finish_reason": finish_reason}], **fields}
    return Chunk(b"{}", document, text, finish_reason, usage)


async def streamed(chunks: AsyncGenerator[Chunk, None], timeout: float = HOUR) -> StreamedReply:
    return await StreamedReply.open(chunks, timeout, asyncio.get_running_loop().time() + timeout)


async def ask(provider: Provider, request: ChatRequest) -> Answer:
    return (await send_whole(provider, request)).answer()


async def read(provider: Provider, request: ChatRequest) -> list[Chunk]:
    """All chunks of a reply; closes it."""
    reply = await send_streamed(provider, request)
    try:
        return [chunk async for chunk in reply]
    finally:
        await reply.aclose()
