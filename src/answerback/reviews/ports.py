"""What reviews ask of the world."""

from collections.abc import Sequence
from typing import Protocol

from answerback.reviews.model import File, Review


class ReviewLLM(Protocol):
    """An LLM that takes reviews and answers by webhook. It never retries by itself."""

    name: str

    async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
        """Returns once it has been taken; `timeout` is in seconds. Raises ProviderError."""

    async def close(self) -> None: ...


class Fetcher(Protocol):
    """Fetches the files that reviews refer to, from addresses that the relay may call."""

    async def fetch(self, url: str) -> File:
        """Bounded in size and time. Raises FileError."""

    async def close(self) -> None: ...


class Reader(Protocol):
    """Finds the text in files."""

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        """The text of these pages, 1-based, or of all; never blank. Bounded in size and time. Raises FileError."""
