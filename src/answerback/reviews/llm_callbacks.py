"""Taking the answers of LLMs that call back."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import assert_never

from answerback.jobs.model import Ending, JobKind, JobState
from answerback.jobs.ports import Store
from answerback.kernel.errors import ErrorCode, Failure, NotFound, Unauthorized
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.llm.model import Answer
from answerback.queue.notifier import Notifier
from answerback.reviews.model import NotReviewed, Reviewed

SECRET = "llm-callback-tokens"  # noqa: S105 (the name of one)
MODEL = "push"
"""What stands for the model in a review by webhook: that LLM does not say which it is."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the LLM hears. `relayed`: whether the service that asked has its callback already."""

    relayed: bool


class CallbackTokens:
    """One token per job, derived from a secret that only the database holds: nothing to store, nothing to guess.

    Not from the secret that signs callbacks: whoever verifies those knows it, and it may be rotated any day.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._secret: bytes | None = None

    async def token(self, job_id: str) -> str:
        """Raises StorageUnavailable."""
        if self._secret is None:
            self._secret = bytes.fromhex(await self._store.own_secret(SECRET))
        return base64.urlsafe_b64encode(hmac.digest(self._secret, job_id.encode(), hashlib.sha256)).decode().rstrip("=")

    async def check(self, job_id: str, presented: str | None) -> None:
        """Compares in constant time. Raises Unauthorized, StorageUnavailable."""
        if not presented:
            raise Unauthorized("this callback needs its token: call back to the whole URL that came with the job")
        if not hmac.compare_digest((await self.token(job_id)).encode(), presented.encode("utf-8", "replace")):
            raise Unauthorized("this token is not the job's: call back to the whole URL that came with the job")


class LlmCallbacks:
    """Ends reviews with what their LLM says, once however often it says it."""

    def __init__(
        self, store: Store, tokens: CallbackTokens, notifier: Notifier, log: Log, metrics: Metrics = UNMEASURED
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._tokens = tokens
        self._notifier = notifier
        self._log = log

    async def authorize(self, job_id: str, token: str | None) -> None:
        """Raises NotFound for what is no review, Unauthorized without its token, StorageUnavailable."""
        await self._store.require_review(job_id)
        await self._tokens.check(job_id, token)

    async def receive(self, job_id: str, said: Reviewed | NotReviewed) -> Receipt:
        """The same answer again changes nothing. Raises NotFound; Conflict when the review ended otherwise;
        StorageUnavailable."""
        ending = ending_of(said)
        ended, delivered = await self._store.answer_review(job_id, ending)
        if ended:
            self._metrics.ended(ending.state, ending.failure.code if ending.failure else None)
            self._notifier.delivery_ready()
        self._log.info("llm_called_back", job=job_id, ok=isinstance(said, Reviewed), repeated=not ended)
        return Receipt(relayed=delivered)

    async def simulate(self, tenant_id: str, job_id: str, said: Reviewed | NotReviewed) -> Receipt:
        """Answers for the LLM. Raises NotFound for what is no review of this tenant, and what `receive` raises."""
        record = await self._store.get_job(tenant_id, job_id)
        if record.job.kind is not JobKind.REVIEW:
            raise NotFound(f"there is no review {job_id!r}")
        return await self.receive(job_id, said)


def ending_of(said: Reviewed | NotReviewed) -> Ending:
    match said:
        case Reviewed(result):
            text = json.dumps(result, ensure_ascii=False, allow_nan=False)
            return Ending(JobState.COMPLETED, answer=Answer(text, MODEL, None, None))
        case NotReviewed(error):
            return Ending(JobState.FAILED, failure=Failure(ErrorCode.REVIEW_FAILED, error))
        case _:
            assert_never(said)
