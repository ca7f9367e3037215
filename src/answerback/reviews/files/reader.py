"""The text of files, found in processes of their own."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence

from answerback.http.descriptors import is_shortage
from answerback.reviews.files.child import Order
from answerback.reviews.files.errors import FileError
from answerback.reviews.model import MAX_CHARS, MAX_PAGES, File

READ_SECONDS = 30.0
SHORTAGE = "this machine had no descriptor or memory left for it"
SHORTAGE_SECONDS = 2.0

_INHERITED = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT", "LANG", "LC_ALL")


class DocumentReader:
    """Implements `Reader`. Each file is read in a process that is killed after 30 s."""

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        """Form feeds separate the pages of a text file. Raises FileError."""
        try:
            return await _read(file, pages)
        except OSError as error:
            if not is_shortage(error):
                raise
            raise FileError("cannot be read now: " + SHORTAGE, retryable=True, wait=SHORTAGE_SECONDS) from None


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
