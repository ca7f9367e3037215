"""The files of reviews: few at a time, within bounds, and not fetched again for another attempt."""

import asyncio
from collections.abc import Sequence

import pytest
from review_desk import REVIEW, StubFiles, by_chat

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import Answer
from answerback.reviews.files import kept, texts
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.kept import KeptTexts
from answerback.reviews.files.texts import HELD_AT_ONCE, READ_AT_ONCE, FileTexts
from answerback.reviews.model import MAX_FILE_BYTES, File, FileRef
from builders import StubProvider

MIB = 1024 * 1024
WELL = Answer('{"score": 1, "feedback": "fine"}', "m", None, "stop")


class Files(StubFiles):
    """Knows how many files are in memory, and how many are read; those of a URL with `slow` come once `release` is
    set."""

    def __init__(self, size: int = 1) -> None:
        super().__init__(length=size)
        self.release = asyncio.Event()
        self.held = self.most_held = self.read = self.most_read = 0

    async def fetch(self, url: str, tenant_id: str) -> File:
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        if "slow" in url:
            await self.release.wait()
        return await super().fetch(url, tenant_id)

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        self.read += 1
        self.most_read = max(self.most_read, self.read)
        await asyncio.sleep(0)
        self.held -= 1
        self.read -= 1
        return await super().text(file, pages)


def refs(count: int, name: str = "f") -> tuple[FileRef, ...]:
    return tuple(FileRef(f"http://{name}/{n}") for n in range(count))


async def failure(files: FileTexts, wanted: Sequence[FileRef]) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await files.of("job_1", wanted, "t1")
    return failed.value


async def test_no_more_files_are_in_memory_or_read_than_places_however_many_reviews_run() -> None:
    files = Files()
    found = FileTexts(files, files, 1_000.0)

    await asyncio.gather(*(found.of(f"job_{n}", refs(5, f"f{n}"), f"t{n % 7}") for n in range(100)))

    assert len(files.fetched) == 500
    assert files.most_held == HELD_AT_ONCE
    assert files.most_read == READ_AT_ONCE


async def test_the_slow_servers_of_two_tenants_leave_a_place_for_others() -> None:
    files = Files()
    found = FileTexts(files, files, 4.0)
    slow = [
        asyncio.ensure_future(found.of(f"job_{n}", refs(1, f"slow{n}"), "a" if n < 50 else "b")) for n in range(100)
    ]
    await asyncio.wait(slow, timeout=0)

    async with asyncio.timeout(10):
        assert await found.of("job", refs(1), "c") == ["http://f/0 None"]

    assert not any(each.done() for each in slow)
    files.release.set()
    assert len(await asyncio.gather(*slow)) == 100


async def test_an_llm_that_fails_again_and_again_costs_the_servers_of_the_files_one_request_each() -> None:
    provider, files = StubProvider(WELL), StubFiles()
    failing = [Answer("no JSON", "m", None, "stop")] * 4
    provider = StubProvider(*failing, WELL, WELL)
    reviewer = by_chat(provider, files)
    for _ in failing:
        with pytest.raises(ProviderError):
            await reviewer.review("job_1", "t1", REVIEW, 10.0)

    await reviewer.review("job_1", "t1", REVIEW, 10.0)

    assert files.fetched == [ref.url for ref in REVIEW.file_refs]
    # Then nothing is kept of it
    await reviewer.review("job_1", "t1", REVIEW, 10.0)
    assert len(files.fetched) == 2 * len(REVIEW.file_refs)


async def test_after_a_file_that_did_not_come_only_the_missing_ones_are_fetched() -> None:
    files = StubFiles()
    found = FileTexts(files, files, 4.0)
    await found.of("job_1", refs(3), "t1")
    files.error = FileError("is slow", retryable=True)
    for _ in range(3):
        await failure(found, refs(5))
    files.error = None

    assert len(await found.of("job_1", refs(5), "t1")) == 5

    numbers = [int(url[-1]) for url in files.fetched]
    assert numbers == [0, 1, 2, 3, 3, 3, 3, 4]


async def test_a_file_that_is_named_often_is_fetched_once() -> None:
    files = StubFiles()
    pages = [FileRef("http://f/1", (n,)) for n in range(1, 20)]

    found = await FileTexts(files, files, 4.0).of("job_1", [*pages, *pages], "t1")

    assert files.fetched == ["http://f/1"]
    assert found == [f"http://f/1 ({n},)" for n in range(1, 20)] * 2


async def test_the_bytes_of_all_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_TOTAL_BYTES", 35)
    files = StubFiles()

    refusal = await failure(FileTexts(files, files, 4.0), refs(50))

    assert (refusal.failure.code, refusal.retryable) == (ErrorCode.FILE_REFUSED, False)
    assert len(files.fetched) == 4
    assert texts.MAX_FILES * MAX_FILE_BYTES > 50 * MIB


async def test_a_server_that_was_not_asked_costs_no_attempt() -> None:
    files = StubFiles(FileError("waits", retryable=True, wait=7.0))

    waits = await failure(FileTexts(files, files, 4.0), refs(1))

    assert (waits.failure.code, waits.retryable) == (ErrorCode.FILE_UNREACHABLE, True)
    assert (waits.asked, waits.retry_after) == (False, 7.0)


def test_what_is_kept_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_CHARACTERS", 100)
    keeping = KeptTexts()
    for job in ("a", "b", "c"):
        for n in range(2):
            keeping.keep(job, FileRef(f"{n}"), "x" * 20)

    assert [len(keeping.of(job)) for job in ("a", "b", "c")] == [0, 2, 2]
    for job in ("b", "c"):
        keeping.forget(job)
    keeping.keep("d", FileRef("0"), "x" * 100)
    keeping.keep("d", FileRef("0"), "y")
    assert keeping.of("d") == {FileRef("0"): "y"}
