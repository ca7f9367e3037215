"""The texts of a review's files: fetched and read one by one, as far as an earlier attempt did not."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.shares import Shares
from answerback.kernel.turns import Turns
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.kept import KeptTexts
from answerback.reviews.model import MAX_CHARS, MAX_FILES, MAX_TOTAL_BYTES, File, FileRef

HELD_AT_ONCE = 32
"""Files of all reviews that are fetched, or held in memory until they are read, at a time: of 10 MiB each. Of a server
that hangs a file is held for half a minute, and takes no memory."""
READ_AT_ONCE = 6
"""Files that are read at a time: their readers may take 1.5 GiB of memory together."""


class Fetcher(Protocol):
    """Fetches the files that reviews refer to, from addresses that the relay may call."""

    async def fetch(self, url: str, tenant_id: str) -> File:
        """Bounded in size and time, once it is the tenant's turn. Raises FileError."""

    async def close(self) -> None: ...


class Reader(Protocol):
    """Finds the text in files."""

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        """The text of these pages, 1-based, or of all; never blank. Bounded in size and time. Raises FileError."""


class FileTexts:
    """A tenant takes one of the places of each sort only while it holds fewer than `slot_factor` times the free ones,
    and else waits for its turn: before anything is fetched, and before it is read."""

    def __init__(self, fetcher: Fetcher, reader: Reader, slot_factor: float) -> None:
        self._fetcher = fetcher
        self._reader = reader
        self._holding = Turns(Shares(HELD_AT_ONCE, slot_factor))
        self._reading = Turns(Shares(READ_AT_ONCE, slot_factor))
        self._kept = KeptTexts()

    async def of(self, job_id: str, refs: Sequence[FileRef], tenant_id: str) -> list[str]:
        """In the order of the files; they are kept for another attempt until `forget`. Raises ProviderError."""
        if not refs:
            raise _refused("there is nothing to review: file_refs is empty")
        if len(refs) > MAX_FILES:
            raise _refused(f"at most {MAX_FILES} files can be reviewed at once, not {len(refs)}")
        known = self._kept.of(job_id)
        left, bytes_left = MAX_CHARS, MAX_TOTAL_BYTES
        for number, ref in enumerate(refs, start=1):
            if ref not in known:
                same = [each for each in refs if each.url == ref.url and each not in known]
                try:
                    found, size = await self._read(same, tenant_id)
                except FileError as error:
                    raise _failure(number, error) from None
                bytes_left -= size
                if bytes_left < 0:
                    raise _refused(f"the files are larger than {MAX_TOTAL_BYTES} bytes together; send fewer")
                known |= found
                for each, text in found.items():
                    self._kept.keep(job_id, each, text)
            left -= len(known[ref])
            if left < 0:
                raise _refused(f"the files hold more than {MAX_CHARS} characters of text together; name fewer pages")
        return [known[ref] for ref in refs]

    def forget(self, job_id: str) -> None:
        self._kept.forget(job_id)

    async def close(self) -> None:
        await self._fetcher.close()

    async def _read(self, refs: Sequence[FileRef], tenant_id: str) -> tuple[dict[FileRef, str], int]:
        """The texts of different pages of one file, and its size in bytes. Raises FileError."""
        async with _turn(self._holding, tenant_id):
            file = await self._fetcher.fetch(refs[0].url, tenant_id)
            async with _turn(self._reading, tenant_id):
                texts = {ref: await self._reader.text(file, ref.pages) for ref in dict.fromkeys(refs)}
            return texts, len(file.data)


@asynccontextmanager
async def _turn(turns: Turns, tenant_id: str) -> AsyncIterator[None]:
    await turns.wait(tenant_id)
    try:
        yield
    finally:
        turns.give(tenant_id)


def _failure(number: int, error: FileError) -> ProviderError:
    code = ErrorCode.FILE_UNREACHABLE if error.retryable else ErrorCode.FILE_REFUSED
    return ProviderError(
        code,
        f"file {number} {error.message}",
        retryable=error.retryable,
        retry_after=error.wait,
        asked=error.wait is None,
    )


def _refused(message: str) -> ProviderError:
    return ProviderError(ErrorCode.FILE_REFUSED, message, retryable=False)
