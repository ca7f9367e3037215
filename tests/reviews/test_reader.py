"""Finding the text in files that strangers wrote: what is read, what is refused, and what may not take all day."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from answerback.reviews.files import plain, reader
from answerback.reviews.files.child import MEMORY_BYTES, Order, text_of
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.reader import DocumentReader
from answerback.reviews.files.texts import READ_AT_ONCE
from answerback.reviews.model import MAX_CHARS, MAX_PAGES, File
from eventually import eventually
from papers import pdf

PDF = "application/pdf"


def read(data: bytes, media_type: str, pages: list[int] | None = None) -> str:
    return asyncio.run(DocumentReader().text(File(data, media_type, ""), pages))


def refusal(data: bytes, media_type: str = PDF, pages: list[int] | None = None) -> str:
    with pytest.raises(FileError) as refused:
        asyncio.run(DocumentReader().text(File(data, media_type, ""), pages))
    assert not refused.value.retryable
    return refused.value.message


def order(media_type: str = "text/plain", charset: str = "", pages: list[int] | None = None) -> Order:
    return Order(media_type=media_type, charset=charset, pages=pages, max_pages=MAX_PAGES, max_chars=MAX_CHARS)


def unread(data: bytes, order: Order) -> str:
    with pytest.raises(FileError) as refused:
        text_of(data, order)
    return refused.value.message


@pytest.mark.parametrize(
    ("data", "media_type", "charset", "text"),
    [
        ("grüß dich".encode(), "text/plain", "", "grüß dich"),
        (b"\xef\xbb\xbfmarked", "text/markdown", "utf-8", "marked"),
        ("grüß".encode("latin-1"), "text/plain", "iso-8859-1", "grüß"),
        ("grüß".encode("latin-1"), "text/plain", "", "gr\ufffd\ufffd"),
        (b"odd charset", "text/plain", "no-such-thing", "odd charset"),
        (b"not a text codec", "text/plain", "hex", "not a text codec"),
        ("grüß".encode(), "text/plain", "US-ASCII", "grüß"),
        ("привет".encode("koi8-r"), "text/plain", "KOI8-R", "привет"),
        ("日本".encode("shift_jis"), "text/plain", "Shift_JIS", "日本"),
        (b'{"a": 1}', "application/json", "", '{"a": 1}'),
        (b"untold", "", "", "untold"),
        (b"untold", "application/octet-stream", "", "untold"),
        (b" a b \n", "text/plain", "", "a b"),
        ("\ufeffgrüß".encode("utf-16-le"), "text/plain", "", "grüß"),
        ("\ufeffgrüß".encode("utf-16-be"), "", "", "grüß"),
    ],
)
def test_texts(data: bytes, media_type: str, charset: str, text: str) -> None:
    assert text_of(data, order(media_type, charset)) == text


def test_form_feeds_part_the_pages_of_a_text() -> None:
    assert text_of(b"one\ftwo\fthree", order(pages=[3, 1])) == "three\n\none"
    assert unread(b"one\ftwo", order(pages=[3])) == "has no page 3: it has 2"


@pytest.mark.parametrize(
    "charset", ["punycode", "utf-7", "idna", "unicode_escape", "raw_unicode_escape", "zlib", "rot13"]
)
def test_a_charset_that_servers_do_not_use_is_not_decoded(charset: str) -> None:
    # Python's punycode takes minutes for this, and more than a day for the largest file
    data = b"a-" + b"b" * 200_000

    assert text_of(data, order(charset=charset)) == data.decode()


@pytest.mark.starts_processes
async def test_a_text_is_read_outside_of_the_process_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "text_of", lambda *_: pytest.fail("read in this process"))

    assert await DocumentReader().text(File(b"one\ftwo", "text/plain", ""), [2]) == "two"


@pytest.mark.starts_processes
def test_pdfs() -> None:
    data = pdf("First.", "Second.", "Third.")

    assert read(data, PDF) == "First.\n\nSecond.\n\nThird."
    assert read(data, "application/octet-stream", [2]) == "Second."
    assert refusal(data, pages=[4]) == "has no page 4: it has 3"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a PDF that can be read"),
        (b"%PDF-1.4\n%%EOF", "is not a PDF that can be read"),
        (pdf("x" * 2000)[:400], "is not a PDF that can be read"),
        (pdf(*["page"] * (MAX_PAGES + 1)), f"has {MAX_PAGES + 1} pages; name at most {MAX_PAGES} of them with pages"),
        (pdf("y" * (MAX_CHARS + 1)), f"holds more than {MAX_CHARS} characters of text; name fewer pages"),
        (pdf(b""), "holds no text (a scan, or blank pages)"),
    ],
    ids=["empty", "hollow", "torn", "long", "wordy", "blank"],
)
@pytest.mark.starts_processes
def test_pdfs_without_a_text(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


@pytest.mark.parametrize("media_type", ["image/png", "application/zip", "application/msword", "video/mp4"])
def test_other_kinds(media_type: str) -> None:
    assert unread(b"x", order(media_type)) == f"is of type {media_type!r}; only text and PDF can be read"


@pytest.mark.parametrize("data", [b"BM6\0\0\0 and so on", bytes(range(128, 256)) * 4, b"a\0b"])
@pytest.mark.parametrize("media_type", ["text/plain", "application/json"])
def test_what_is_called_a_text_and_is_none(data: bytes, media_type: str) -> None:
    assert (
        unread(data, order(media_type)) == f"is called {media_type!r} by its server but is not text; send text or PDF"
    )


def test_bytes_that_nobody_explains() -> None:
    for data in (b"\xff\xfe\0", b"a\0b"):
        assert "neither text in UTF-8 nor PDF" in unread(data, order(""))


@pytest.mark.starts_processes
def test_a_pdf_that_wants_all_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "READ_SECONDS", 1.0)
    endless = pdf(b"BT /F1 12 Tf " + b"1 0 0 1 0 0 cm (a) Tj " * 3_000_000 + b"ET")

    assert refusal(endless) == "takes more than 1 s to read"


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.starts_processes
def test_pdfs_that_want_all_the_memory_there_is_get_a_gigabyte_and_a_half_together() -> None:
    # 240 megabytes of blanks in 240 kilobytes
    assert "memory to read than is allowed" in refusal(pdf(*[b" " * 60_000_000] * 4))
    assert READ_AT_ONCE * MEMORY_BYTES <= 1.5 * 2**30


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
@pytest.mark.starts_processes
async def test_a_reading_goes_behind_the_service_and_leaves_no_process_once_cancelled() -> None:
    others, usual = _children(), os.getpriority(os.PRIO_PROCESS, 0)
    slow = pdf(b"BT /F1 12 Tf " + b"1 0 0 1 0 0 cm (a) Tj " * 3_000_000 + b"ET")
    task = asyncio.create_task(DocumentReader().text(File(slow, PDF, ""), None))
    children = await eventually(lambda: _behind(_children() - others, usual), "a process behind the service")

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not children & _children()


def _behind(children: set[str], usual: int) -> set[str]:
    """These, once all stand behind processes of the usual priority."""
    return children if all(_niceness(each) > usual for each in children) else set()


def _children() -> set[str]:
    return set(Path("/proc/thread-self/children").read_text().split())


def _niceness(process: str) -> int:
    return os.getpriority(os.PRIO_PROCESS, int(process))
