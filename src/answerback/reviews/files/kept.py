"""The texts of reviews that will be tried again: their files are not fetched again for each attempt."""

from collections import OrderedDict

from answerback.reviews.model import FileRef

MAX_CHARACTERS = 16 * 1024 * 1024
"""Of all texts that are kept; those of the review that has waited longest go first."""


class KeptTexts:
    """In this process's memory: another worker fetches anew."""

    def __init__(self) -> None:
        self._of_jobs: OrderedDict[str, dict[FileRef, str]] = OrderedDict()
        self._size = 0

    def of(self, job_id: str) -> dict[FileRef, str]:
        """A copy."""
        return dict(self._of_jobs.get(job_id, {}))

    def keep(self, job_id: str, ref: FileRef, text: str) -> None:
        texts = self._of_jobs.setdefault(job_id, {})
        self._of_jobs.move_to_end(job_id)
        self._size += len(text) - len(texts.get(ref, ""))
        texts[ref] = text
        while self._size > MAX_CHARACTERS and len(self._of_jobs) > 1:
            self.forget(next(iter(self._of_jobs)))

    def forget(self, job_id: str) -> None:
        texts = self._of_jobs.pop(job_id, {})
        self._size -= sum(map(len, texts.values()))
