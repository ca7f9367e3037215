"""The one `Store`: names the operations, and on which side of the database each runs."""

from collections.abc import Awaitable, Sequence

from answerback.accounts.store import AccountStore
from answerback.ask.store import QuestionStore
from answerback.conversations.store import ConversationStore
from answerback.database import probe as probing
from answerback.database.operation import Database
from answerback.database.service_secrets import ServiceSecrets
from answerback.http.idempotency_store import IdempotencyStore
from answerback.jobs import accept as accepting
from answerback.jobs import awaiting
from answerback.jobs import cancel as cancelling
from answerback.jobs import depth as measuring
from answerback.jobs import finish as ending
from answerback.jobs import read as reading
from answerback.jobs import recover as sweeping
from answerback.jobs.backlog import Backlog, Recount
from answerback.jobs.model import (
    Accepted,
    ClaimedJob,
    Ending,
    Job,
    JobRecord,
    JobState,
    NewJob,
)
from answerback.jobs.ports import Claims, Depth, Limits, Render, Swept
from answerback.jobs.records import dump_request
from answerback.kernel.errors import Failure
from answerback.queue import leases as leasing
from answerback.queue.unconfirmed import UnconfirmedClaims
from answerback.webhooks.model import Report
from answerback.webhooks.secrets import SecretStore
from answerback.webhooks.store import DeliveryStore


class JobStore:
    """Jobs, in the database. `render` makes the body of a callback."""

    def __init__(self, database: Database, backlog: Backlog, render: Render) -> None:
        self._database = database
        self._backlog = backlog
        self._render = render
        self._recount = Recount(self.count_open)
        self._jobs_unconfirmed = UnconfirmedClaims()

    async def accept(self, job: NewJob, limits: Limits) -> Accepted:
        """Raises ConversationFull, Overloaded, IdempotencyConflict."""
        self._recount.if_due()
        # Here rather than in the transaction, which holds lines.
        request = dump_request(job.request)
        return await self._database.write.run(
            lambda tx: accepting.accept(tx, job, request, limits, self._backlog.size), accepting.PLAN, len(request)
        )

    async def find_accepted(self, tenant_id: str, idempotency_key: str, request_hash: str) -> Accepted | None:
        """The earlier acceptance under this key. Raises IdempotencyConflict when its body differed."""
        return await self._database.read.run(
            lambda tx: reading.find_accepted(tx, tenant_id, idempotency_key, request_hash), reading.FIND_PLAN
        )

    async def claim_jobs(self, owner: str, limit: int, lease_seconds: float) -> Claims:
        def claim(name: str, unconfirmed: Sequence[str]) -> Awaitable[Claims]:
            return self._database.write.run(lambda tx: leasing.claim_jobs(tx, name, limit, lease_seconds, unconfirmed))

        return await self._jobs_unconfirmed.claim(owner, claim)

    async def extend_jobs(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        """Extends leases of `(id, epoch)`; returns the ids still held."""
        return await self._database.write.run(lambda tx: leasing.extend(tx, leasing.EXTEND_JOB, held, lease_seconds))

    async def release_jobs(self, held: Sequence[tuple[str, int, float]]) -> None:
        """Gives back `(id, epoch, seconds until due)`; the attempts do not count."""
        await self._database.write.run(lambda tx: leasing.release(tx, leasing.RELEASE_JOB, held))

    async def finish(self, claim: ClaimedJob, result: Ending, report: Report) -> bool:
        """Job state, turn, delivery row and release of the next held message, in one transaction."""
        return await self._database.write.run(
            lambda tx: ending.finish(tx, claim, result, report, self._render),
            ending.FINISH_PLAN,
            ending.carried(result),
        )

    async def requeue(
        self, claim: ClaimedJob, delay: float, counted: bool, failure: Failure, report: Report | None
    ) -> bool:
        """Back to the queue for `delay` seconds; an attempt not `counted` is given back, and one without a `report` was
        not begun."""
        return await self._database.write.run(
            lambda tx: ending.requeue(tx, claim, delay, counted, failure, report), ending.REQUEUE_PLAN
        )

    async def hand_over(self, claim: ClaimedJob, timeout: float, report: Report) -> bool:
        """The LLM has taken the job and is given `timeout` seconds to answer by webhook."""
        return await self._database.write.run(lambda tx: awaiting.hand_over(tx, claim, timeout, report))

    async def require_review(self, job_id: str) -> None:
        """Raises NotFound unless it is a review, whoever's."""
        await self._database.read.run(lambda tx: awaiting.require_review(tx, job_id))

    async def answer_review(self, job_id: str, result: Ending) -> tuple[bool, bool]:
        """Ends a review from outside, whatever state it is in. Whether this ended it, and whether its callback has
        been delivered. Raises NotFound; Conflict when it ended otherwise before."""
        return await self._database.write.run(lambda tx: awaiting.answer(tx, job_id, result, self._render))

    async def reported(self, row_id: str, epoch: int, report: Report) -> bool:
        """Whether this attempt at a job or a delivery ended with this report."""
        return await self._database.read.run(lambda tx: reading.reported(tx, row_id, epoch, report))

    async def recover_leases(self) -> Swept:
        """Takes back a batch of rows whose lease ran out; poisons a job that lost too many."""
        return await self._database.write.run(lambda tx: sweeping.recover_leases(tx, self._render))

    async def expire_jobs(self) -> Swept:
        """Ends a batch of jobs whose deadline passed, or whose LLM did not call back in time."""
        return await self._database.write.run(lambda tx: sweeping.expire_jobs(tx, self._render))

    async def release_orphans(self) -> Swept:
        """Moves lines on that nobody else would."""
        return await self._database.write.run(sweeping.release_orphans)

    async def prune(self, retention_days: float) -> Swept:
        """Deletes a batch of what ended longer ago than that."""
        return await self._database.write.run(lambda tx: sweeping.prune(tx, retention_days))

    async def count_open(self) -> int:
        """How many jobs have not ended; also what the back-pressure of `accept` goes by until it counts again."""
        return await self._database.write.run(lambda tx: sweeping.count_open(tx, self._backlog.reset))

    async def depth(self) -> Depth:
        """What waits now."""
        return await self._database.read.run(measuring.depth)

    async def get_job(self, tenant_id: str, job_id: str) -> JobRecord:
        """Raises NotFound."""
        return await self._database.read.run(lambda tx: reading.get_job(tx, tenant_id, job_id))

    async def list_jobs(
        self, tenant_id: str, state: JobState | None, session_id: str | None, before: str | None, limit: int
    ) -> Sequence[JobRecord]:
        """Newest first, without answers, attempts and deliveries; `before` is the last id of the page before."""
        return await self._database.read.run(
            lambda tx: reading.list_jobs(tx, tenant_id, state, session_id, before, limit)
        )

    async def cancel_job(self, tenant_id: str, job_id: str) -> bool:
        """Whether this ended it; cancelling twice is no error. Raises NotFound; Conflict when it ended otherwise."""
        return await self._database.write.run(lambda tx: cancelling.cancel_job(tx, tenant_id, job_id, self._render))

    async def retry_source(self, tenant_id: str, job_id: str) -> tuple[Job, Accepted | None]:
        """The job to run anew, and its earlier retry if there was one. Raises NotFound, Conflict."""
        return await self._database.read.run(lambda tx: reading.retry_source(tx, tenant_id, job_id))

    async def ping(self) -> None:
        """Proves that the database takes writes."""
        await self._database.write.run(probing.probe)

    async def close(self) -> None:
        await self._recount.close()


class SqlStore(
    JobStore,
    DeliveryStore,
    SecretStore,
    ConversationStore,
    QuestionStore,
    IdempotencyStore,
    AccountStore,
    ServiceSecrets,
):
    """Every room's store in one."""

    def __init__(self, database: Database, backlog: Backlog, render: Render) -> None:
        JobStore.__init__(self, database, backlog, render)
        self._deliveries_unconfirmed = UnconfirmedClaims()

    async def close(self) -> None:
        await JobStore.close(self)
        await self._database.close()
