"""The text of files, found in processes of their own."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence

from answerback.kernel.errors import FileError
from answerback.queue.shares import Shares
from answerback.queue.turns import Turns
from answerback.reviews.files.child import Order
from answerback.reviews.model import MAX_CHARS, MAX_PAGES, File

READ_SECONDS = 30.0
READ_AT_ONCE = 5

_INHERITED = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT", "LANG", "LC_ALL")


class DocumentReader:
    """Implements `Reader`. Files are read in processes that are killed after 30 s, a few at once. A tenant takes one
    only while it holds fewer than `slot_factor` times the free ones, and else waits for its turn."""

    def __init__(self, slot_factor: float) -> None:
        self._turns = Turns(Shares(READ_AT_ONCE, slot_factor))

    async def text(self, file: File, pages: Sequence[int] | None, tenant_id: str) -> str:
        """Form feeds separate the pages of a text file. Raises FileError."""
        await self._turns.wait(tenant_id)
        try:
            return await _read(file, pages)
        finally:
            self._turns.give(tenant_id)


async def _read(file: File, pages: Sequence[int] | None) -> str:
    order = Order(
        media_type=file.media_type,
        charset=file.charset,
        pages=None if pages is None else list(pages),
        max_pages=MAX_PAGES,
        max_chars=MAX_CHARS,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "answerback.reviews.files.child", json.dumps(order)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # The service's environment holds keys, which a hostile file that takes this process over must not get.
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    )
    try:
        async with asyncio.timeout(READ_SECONDS):
            said, _ = await process.communicate(file.data)
        answer = json.loads(said)
    except TimeoutError:
        raise FileError(f"takes more than {READ_SECONDS:g} s to read") from None
    except ValueError:
        # A process that the kernel's limits ended prints nothing.
        raise FileError("takes more time or memory to read than is allowed") from None
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if "error" in answer:
        raise FileError(str(answer["error"]))
    return str(answer["text"])
