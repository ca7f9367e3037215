"""How much of its answer a streamed response holds is known while it comes."""

import asyncio
from collections.abc import AsyncGenerator

from answerback.llm.model import Chunk
from answerback.llm.reply import StreamedReply
from answerback.responses.answers.answering import Answering
from answerback.responses.body import Start
from answerback.responses.model import Asked
from answerback.responses.tools.toolbox import NO_TOOLS
from answerback.testing.clock import FakeClock


async def said() -> AsyncGenerator[Chunk, None]:
    for finish in (None, None, "stop"):
        yield Chunk(
            b"{}",
            {"choices": [{"index": 0, "delta": {"content": "x" * 1000}, "finish_reason": finish}]},
            "x" * 1000,
            finish,
            None,
        )


async def test_what_has_come_is_counted(clock: FakeClock) -> None:
    answering = Answering(Asked({"stream": True}, ()), Start("resp_1", 0, "m", NO_TOOLS), clock)
    reply = await StreamedReply.open(said(), 60, asyncio.get_running_loop().time() + 60)

    counts = [answering.held async for _ in answering.events(reply)]

    assert counts[0] == 0
    assert set(counts) == {0, 1000, 2000, 3000}
