"""Streamed responses: an LLM that spells its answer, a client that reads the events."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import openai
from aiohttp import web

from answerback.testing import replies
from answerback.testing.replies import Call, Reply

WORDS = [f"word{n} " for n in range(12)]


def spelt(words: Sequence[str], waits: Sequence[asyncio.Event] = (), whole: bool = True) -> Reply:
    """A stream of words, each once its event is set, if it has one; without an end if it is not `whole`."""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers=replies.SSE_HEADERS)
        await response.prepare(request)
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": call.model}

        async def send(delta: Mapping[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await response.write(b"data: %b\n\n" % json.dumps({**head, "choices": [choice]}).encode())

        for n, word in enumerate(words):
            if n < len(waits):
                await waits[n].wait()
            await send({"content": word})
        if not whole:
            await asyncio.Event().wait()
        await send({}, "stop")
        await response.write(b"data: [DONE]\n\n")
        return response

    return reply


def numbers(events: Sequence[Any]) -> list[int]:
    return [event.sequence_number for event in events]


async def rest(client: openai.AsyncOpenAI, response_id: str, after: int | None = None) -> list[Any]:
    """The events behind this number, through the last one."""
    given: Any = {} if after is None else {"starting_after": after}
    return [event async for event in await client.responses.retrieve(response_id, stream=True, **given)]


def text_of(events: Sequence[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")
