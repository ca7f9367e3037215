"""The scripted LLM in a process of its own: answers immediately, or after the time that the message names.

`python -m chaos.llm --log calls.jsonl`
"""

import argparse
import asyncio
import re
import signal
import sys
from pathlib import Path

from aiohttp import web

from answerback.testing.llm import FakeLLM
from answerback.testing.replies import Call, Reply, delayed, echo

DELAY = re.compile(r"\[(\d+) ms\]")


def after(milliseconds: int, text: str) -> str:
    """A message that this LLM answers after so many milliseconds."""
    return f"{text} [{milliseconds} ms]"


def patient() -> Reply:
    """An echo, after the milliseconds that the message names."""
    immediate = echo()

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        found = DELAY.search(call.user)
        behaviour = delayed(int(found[1]) / 1000) if found else immediate
        return await behaviour(request, call)

    return reply


async def serve(log: Path) -> None:
    """Serves until SIGTERM; prints its base URL when it listens."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with FakeLLM(default=patient(), log=log, remember=False) as llm:
        sys.stdout.write(f"listening on {llm.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=serve.__doc__)
    parser.add_argument("--log", type=Path, required=True)
    asyncio.run(serve(parser.parse_args().log))
