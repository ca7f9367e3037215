"""The text of a PDF."""

import io
from collections.abc import Sequence

from pypdf import PdfReader

from answerback.reviews.files.errors import FileError


def text_of(data: bytes, pages: Sequence[int] | None, max_pages: int, max_chars: int) -> str:
    """The text of these pages (1-based), or of all. Raises FileError, and what pypdf raises."""
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise FileError("is encrypted; send one that opens without a password")
    count = len(reader.pages)
    wanted = range(1, count + 1) if pages is None else pages
    if len(wanted) > max_pages:
        raise FileError(f"has {count} pages; name at most {max_pages} of them with pages")
    texts: list[str] = []
    left = max_chars
    for number in wanted:
        if number > count:
            raise FileError(f"has no page {number}: it has {count}")
        text = reader.pages[number - 1].extract_text()
        left -= len(text)
        if left < 0:
            raise FileError(f"holds more than {max_chars} characters of text; name fewer pages")
        texts.append(text)
    return "\n\n".join(texts)
