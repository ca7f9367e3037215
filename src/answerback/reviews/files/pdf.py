"""The text of a PDF, found in a process of its own: `python -m answerback.reviews.files.pdf` reads the file from stdin
and `{"pages": [int] | null, "max_pages", "max_chars"}` from its argument, and prints `{"text"}` or `{"error"}`.

A PDF is a program of sorts and may want all the time and memory there is. The process may take neither.
"""

import contextlib
import io
import json
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from pypdf import PdfReader

MEMORY_BYTES = 1024 * 1024 * 1024
CPU_SECONDS = 20


class UnreadableError(Exception):
    """Why there is no text; completes the sentence "this file …"."""


def text_of(data: bytes, pages: Sequence[int] | None, max_pages: int, max_chars: int) -> str:
    """The text of these pages (1-based), or of all. Raises UnreadableError."""
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableError("is encrypted; send one that opens without a password")
    count = len(reader.pages)
    wanted = range(1, count + 1) if pages is None else pages
    if len(wanted) > max_pages:
        raise UnreadableError(f"has {count} pages; name at most {max_pages} of them with pages")
    texts: list[str] = []
    left = max_chars
    for number in wanted:
        if number > count:
            raise UnreadableError(f"has no page {number}: it has {count}")
        text = reader.pages[number - 1].extract_text()
        left -= len(text)
        if left < 0:
            raise UnreadableError(f"holds more than {max_chars} characters of text; name fewer pages")
        texts.append(text)
    return "\n\n".join(texts)


def _bound() -> None:
    """Sets the kernel's limits, which also stop what no deadline in Python would. Not every system has them."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def main() -> None:
    _bound()
    warnings.simplefilter("ignore")
    logging.disable()
    order = json.loads(sys.argv[1])
    answer: dict[str, Any]
    try:
        text = text_of(sys.stdin.buffer.read(), order["pages"], order["max_pages"], order["max_chars"])
        answer = {"text": text}
    except UnreadableError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "needs more memory to read than is allowed"}
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it cannot be read
        answer = {"error": "is not a PDF that can be read"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
