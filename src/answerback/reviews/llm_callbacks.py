"""Taking the answers of LLMs that call back."""

from typing import assert_never

from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.jobs.store import JobStore
from answerback.kernel.allowance import Allowance
from answerback.kernel.errors import ErrorCode, Failure, NotFound, Unauthorized
from answerback.kernel.instruments import Instruments
from answerback.queue.notifier import Notifier, Topic
from answerback.reviews.kind import KIND
from answerback.reviews.model import NotReviewed, Reviewed
from answerback.reviews.tokens import CallbackTokens

MODEL = "push"
"""Stands for the model of a review by webhook: that LLM does not name one."""


WRONG_A_SECOND, WRONG_AT_ONCE = 10, 100
"""Of how many wrong tokens the job is looked up."""


class LlmCallbacks:
    """Ends each review with its LLM's answer, once, however often that is repeated."""

    def __init__(self, store: JobStore, tokens: CallbackTokens, notifier: Notifier, instruments: Instruments) -> None:
        self._store = store
        self._tokens = tokens
        self._notifier = notifier
        self._wrong = Allowance(WRONG_A_SECOND, WRONG_AT_ONCE)
        self._clock = instruments.clock
        self._log = instruments.log
        self._metrics = instruments.metrics

    async def authorize(self, job_id: str, token: str | None) -> None:
        """Raises Unauthorized without the job's token, StorageUnavailable; NotFound instead of the former for a job
        that is no review, unless many ask so: a flood of wrong tokens reads nothing."""
        try:
            await self._tokens.check(job_id, token)
        except Unauthorized:
            if not self._wrong.rest_after(1, self._clock.monotonic()):
                await self._store.require(job_id, KIND)
            raise

    async def receive(self, job_id: str, said: Reviewed | NotReviewed) -> bool:
        """Whether the review's callback has been delivered already. The same answer again changes nothing. Raises
        NotFound; Conflict if the review ended otherwise; StorageUnavailable."""
        end = end_of(said)
        resolved = await self._store.resolve(job_id, KIND, end)
        if resolved.ended:
            self._metrics.ended(end.state, end.failure.code if end.failure else None)
            self._notifier.wake(Topic.DELIVERIES)
        self._log.info("llm_called_back", job=job_id, ok=isinstance(said, Reviewed), repeated=not resolved.ended)
        return resolved.delivered

    async def simulate(self, tenant_id: str, job_id: str, said: Reviewed | NotReviewed) -> bool:
        """Answers for the LLM, as `receive`. Raises NotFound also for a job that is no review of this tenant."""
        record = await self._store.get(tenant_id, job_id)
        if record.job.kind != KIND:
            raise NotFound(f"there is no review {job_id!r}")
        return await self.receive(job_id, said)


def end_of(said: Reviewed | NotReviewed) -> End:
    match said:
        case Reviewed(result):
            return End.completed({"model": MODEL, "usage": None, "result": result})
        case NotReviewed(error):
            return End(JobState.FAILED, failure=Failure(ErrorCode.REVIEW_FAILED, error))
        case _:
            assert_never(said)
