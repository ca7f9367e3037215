"""The text of a file, found in a process of its own: `python -m answerback.reviews.files.child` reads the file from
stdin and a JSON `Order` from its argument, and prints `{"text"}` or `{"error"}`.

A stranger wrote the file and named its charset. A PDF is a program of sorts and may want all the time and memory there
is. The process may take neither.
"""

import contextlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TypedDict

from answerback.reviews.files import plain
from answerback.reviews.files.errors import FileError

MEMORY_BYTES = 256 * 1024 * 1024
"""A scan of 10 MB takes 45 MB. A page of 8 MB of drawing instructions has enough, too, but not in `CPU_SECONDS`."""
CPU_SECONDS = 20
NICENESS = 10
"""Hostile files may keep every processor busy: the service goes first."""

_PDF = b"%PDF-"
_PDF_WITHIN = 1024


class Order(TypedDict):
    """What to read: `media_type` and `charset` are what the file's server says; `pages` None means all."""

    media_type: str
    charset: str
    pages: Sequence[int] | None
    max_pages: int
    max_chars: int


def text_of(data: bytes, order: Order) -> str:
    """The text, never blank. Raises FileError."""
    pages, max_chars = order["pages"], order["max_chars"]
    if _is_pdf(data, order["media_type"]):
        text = _pdf(data, pages, order["max_pages"], max_chars)
    else:
        text = plain.text_of(data, order["media_type"], order["charset"], pages)
    text = text.replace("\0", "").strip()
    if not text:
        raise FileError("holds no text (a scan, or blank pages)")
    if len(text) > max_chars:
        raise FileError(f"holds more than {max_chars} characters of text; name fewer pages")
    return text


def _is_pdf(data: bytes, media_type: str) -> bool:
    return media_type in ("application/pdf", "application/x-pdf") or _PDF in data[:_PDF_WITHIN]


def _pdf(data: bytes, pages: Sequence[int] | None, max_pages: int, max_chars: int) -> str:
    # Imported here: it takes five times as long as everything else that a text file needs.
    from answerback.reviews.files import pdf

    try:
        return pdf.text_of(data, pages, max_pages, max_chars)
    except (FileError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 (whatever is wrong with it, it cannot be read)
        raise FileError("is not a PDF that can be read") from None


def _bound() -> None:
    """Sets the kernel's limits, which also stop what no deadline in Python would. Not every system has them."""
    with contextlib.suppress(AttributeError, OSError):
        os.nice(NICENESS)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def main() -> None:
    _bound()
    warnings.simplefilter("ignore")
    logging.disable()
    try:
        answer = {"text": text_of(sys.stdin.buffer.read(), json.loads(sys.argv[1]))}
    except FileError as error:
        answer = {"error": error.message}
    except MemoryError:
        answer = {"error": "needs more memory to read than is allowed"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
