"""Where stories hand in reviews and run them, with everything around in view."""

from collections.abc import Sequence

from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.kind import Registry
from answerback.jobs.model import JobRecord
from answerback.jobs.run import JobRunner
from answerback.jobs.store import JobStore
from answerback.kernel.instruments import Instruments
from answerback.reviews.by_chat import ChatReviewer
from answerback.reviews.by_webhook import WebhookReviewer
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.texts import FileTexts
from answerback.reviews.kind import KIND, Reviewer, ReviewKind
from answerback.reviews.llm_callbacks import LlmCallbacks
from answerback.reviews.model import File, FileRef, Review
from answerback.reviews.tokens import CallbackTokens
from answerback.testing.clock import FakeClock
from builders import LEASE, ROOMY, TENANT, Journal, NoPlaces, Notifier, StubProvider, new_job, roomy
from stores import Stores

REVIEW = Review("essay-1", (FileRef("http://f/1"), FileRef("http://f/2", (2,))), "Erika", {"task": "water"})
CALL_SECONDS = 120.0
CALLBACK_SECONDS = 3_600.0


class StubLLM:
    """Implements `ReviewLLM`: takes reviews as the script says. The last stays."""

    name = "stub"

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script or [None])
        self.submitted: list[tuple[str, str]] = []

    async def submit(self, job_id: str, tenant_id: str, callback_url: str, review: Review, timeout: float) -> None:
        self.submitted.append((job_id, callback_url))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step is not None:
            raise step

    async def close(self) -> None:
        return


class StubFiles:
    """Implements `Fetcher` and `Reader`: a file's text is its URL and its pages."""

    def __init__(self, error: FileError | None = None, length: int = 1) -> None:
        self.error = error
        self.length = length
        self.fetched: list[str] = []

    async def fetch(self, url: str, tenant_id: str) -> File:
        self.fetched.append(url)
        if self.error is not None:
            raise self.error
        return File(url.encode() * self.length, "text/plain", "")

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        return f"{file.data.decode()} {pages}"

    async def close(self) -> None:
        return


async def any_address(url: str, tenant_id: str) -> None:
    """Every address may be called."""


def by_chat(provider: StubProvider, files: StubFiles | None = None) -> ChatReviewer:
    files = files or StubFiles()
    return ChatReviewer(provider, FileTexts(files, files, 4.0), any_address)


class Desk:
    """Reviews of one tenant, in its jobs."""

    def __init__(self, stores: Stores, clock: FakeClock, journal: Journal) -> None:
        self.stores = stores
        self.clock = clock
        self.journal = journal
        self.notifier = Notifier()
        self.tokens = CallbackTokens(stores.service_secrets)
        self._instruments = Instruments(journal, clock)

    def by_webhook(self, llm: StubLLM) -> WebhookReviewer:
        return WebhookReviewer(llm, self.tokens, "https://relay.example", CALLBACK_SECONDS)

    def callbacks(self, reviewer: Reviewer) -> LlmCallbacks:
        return LlmCallbacks(self._jobs(reviewer)[0], self.tokens, self.notifier, self._instruments)

    async def hand_in(self, reviewer: Reviewer, review: Review = REVIEW) -> str:
        jobs, kinds = self._jobs(reviewer)
        kind = kinds.find(KIND)
        assert kind is not None
        job = new_job(session=None, kind=KIND, queue=kind.queue, args=kind.encode(review), parsed=review)
        return (await jobs.accept(job, ROOMY)).job_id

    async def run(self, reviewer: Reviewer) -> JobRecord:
        """One attempt of the only job that is due."""
        jobs, kinds = self._jobs(reviewer)
        (claim,) = (await jobs.claim("worker", 100, LEASE, roomy())).jobs
        windows = DatabaseWindows(self.stores.conversations)
        await JobRunner(jobs, kinds, self.notifier, windows, NoPlaces(), self._instruments).run(claim)
        return await jobs.get(TENANT, claim.id)

    def _jobs(self, reviewer: Reviewer) -> tuple[JobStore, Registry]:
        kinds = Registry([ReviewKind(reviewer, CALL_SECONDS)])
        return JobStore(self.stores.database, kinds, self.stores.backlog), kinds
