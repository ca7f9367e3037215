"""Text and PDF files as text."""

import asyncio
import codecs
import json
import os
import sys
from collections.abc import Sequence

from answerback.kernel.errors import FileError
from answerback.queue.shares import Shares
from answerback.queue.turns import Turns
from answerback.reviews.model import MAX_CHARS, MAX_PAGES, File

PDF_SECONDS = 30.0
PDFS_AT_ONCE = 5

_PDF = b"%PDF-"
_PDF_WITHIN = 1024
_LEGIBLE = 0.5
"""The share of a text that its charset must decode. Accented letters of another charset are a few in a hundred."""
_BYTE_ORDERS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_TEXTS = frozenset({"application/json", "application/xml", "application/x-tex", "application/x-yaml"})
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_INHERITED = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT", "LANG", "LC_ALL")


class DocumentReader:
    """Implements `Reader`. PDFs are read in processes that are killed after 30 s, a few at once. A tenant takes one
    only while it holds fewer than `slot_factor` times the free ones, and else waits for its turn."""

    def __init__(self, slot_factor: float) -> None:
        self._turns = Turns(Shares(PDFS_AT_ONCE, slot_factor))

    async def text(self, file: File, pages: Sequence[int] | None, tenant_id: str) -> str:
        """Form feeds separate the pages of a text file. Raises FileError."""
        if _is_pdf(file):
            await self._turns.wait(tenant_id)
            try:
                text = await _pdf(file.data, pages)
            finally:
                self._turns.give(tenant_id)
        else:
            text = _select(_decoded(file), pages)
        text = text.replace("\0", "").strip()
        if not text:
            raise FileError("holds no text (a scan, or blank pages)")
        if len(text) > MAX_CHARS:
            raise FileError(f"holds more than {MAX_CHARS} characters of text; name fewer pages")
        return text


def _is_pdf(file: File) -> bool:
    return file.media_type in ("application/pdf", "application/x-pdf") or _PDF in file.data[:_PDF_WITHIN]


def _decoded(file: File) -> str:
    if not (file.media_type.startswith("text/") or file.media_type in _TEXTS | _UNTOLD):
        raise FileError(f"is of type {file.media_type[:100]!r}; only text and PDF can be read")
    data, charset = _marked(file)
    if file.media_type in _UNTOLD:
        try:
            text = data.decode(charset)
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise FileError("is neither text in UTF-8 nor PDF, and its server does not say what it is")
        return text
    try:
        text = data.decode(charset, "replace")
    except (LookupError, UnicodeError):
        text = data.decode("utf-8", "replace")
    if "\0" in text or text.count("\N{REPLACEMENT CHARACTER}") > (1 - _LEGIBLE) * len(text):
        raise FileError(f"is called {file.media_type[:100]!r} by its server but is not text; send text or PDF")
    return text


def _marked(file: File) -> tuple[bytes, str]:
    """The data without its byte order mark, and the charset: the mark's, else the server's, else UTF-8."""
    for mark, charset in _BYTE_ORDERS:
        if file.data.startswith(mark):
            return file.data.removeprefix(mark), charset
    return file.data, file.charset or "utf-8"


def _select(text: str, pages: Sequence[int] | None) -> str:
    if pages is None:
        return text
    parts = text.split("\f")
    for number in pages:
        if number > len(parts):
            raise FileError(f"has no page {number}: it has {len(parts)}")
    return "\n\n".join(parts[number - 1] for number in pages)


async def _pdf(data: bytes, pages: Sequence[int] | None) -> str:
    order = {"pages": None if pages is None else list(pages), "max_pages": MAX_PAGES, "max_chars": MAX_CHARS}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "answerback.reviews.files.pdf", json.dumps(order)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # The service's environment holds keys, which a hostile PDF that takes this process over must not get.
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    )
    try:
        async with asyncio.timeout(PDF_SECONDS):
            said, _ = await process.communicate(data)
        answer = json.loads(said)
    except TimeoutError:
        raise FileError(f"takes more than {PDF_SECONDS:g} s to read") from None
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
