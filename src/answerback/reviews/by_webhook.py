"""Reviews by an LLM that answers by webhook: the job is handed over, and awaits its call."""

from typing import Protocol

from answerback.jobs.outcome import Awaiting
from answerback.kernel.persistence import persist
from answerback.kernel.retry import HANDOVER_SCHEDULE
from answerback.reviews.model import Review
from answerback.reviews.tokens import CallbackTokens


class ReviewLLM(Protocol):
    """An LLM that takes reviews and answers by webhook. It never retries by itself."""

    name: str

    async def submit(self, job_id: str, tenant_id: str, callback_url: str, review: Review, timeout: float) -> None:
        """Returns once the LLM has taken the review; `timeout` is in seconds. Raises ProviderError."""

    async def close(self) -> None: ...


class WebhookReviewer:
    """Implements `Reviewer`. `public_base_url` is how the LLM reaches this service; it is given `callback_timeout`
    seconds to answer."""

    retries = HANDOVER_SCHEDULE

    def __init__(self, llm: ReviewLLM, tokens: CallbackTokens, public_base_url: str, callback_timeout: float) -> None:
        self._llm = llm
        self._tokens = tokens
        self._base_url = public_base_url
        self._callback_timeout = callback_timeout

    async def check(self, review: Review, tenant_id: str) -> None:
        """Accepts any files: the LLM fetches them itself."""

    async def review(self, job_id: str, tenant_id: str, review: Review, timeout: float) -> Awaiting:
        token = await persist(lambda: self._tokens.token(job_id))
        callback_url = f"{self._base_url}/v1/llm/callback/{job_id}?token={token}"
        await self._llm.submit(job_id, tenant_id, callback_url, review, timeout)
        return Awaiting(self._callback_timeout)

    async def close(self) -> None:
        await self._llm.close()
