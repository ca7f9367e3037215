"""The one `Store`: names the operations, and on which side of the database each runs."""

import asyncio
from collections.abc import Awaitable, Sequence

from answerback.accounts import store as keys
from answerback.ask import store as questions
from answerback.conversations import store as remembering
from answerback.database import probe as probing
from answerback.database import service_secrets as own_secrets
from answerback.database.operation import Runner
from answerback.http import idempotency_store as idempotency
from answerback.http.idempotency_model import ClaimedRecord, IdempotentRequest, StoredResponse
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
    Conversation,
    DeliveryRecord,
    Ending,
    Job,
    JobRecord,
    JobState,
    NewJob,
)
from answerback.jobs.records import dump_request
from answerback.kernel.errors import Failure
from answerback.kernel.ports import ApiKey, Claims, Depth, Limits, Recalled, Render, Swept
from answerback.llm.model import Question, Turn
from answerback.queue import leases as leasing
from answerback.queue.unconfirmed import UnconfirmedClaims
from answerback.webhooks import claim as sending
from answerback.webhooks import report as delivering
from answerback.webhooks.model import ClaimedDelivery, DeliveryState, OriginLine, Report


class SqlStore:
    """Implements `answerback.kernel.ports.Store` over a writing and a reading runner."""

    def __init__(self, write: Runner, read: Runner, backlog: Backlog, render: Render) -> None:
        self._write = write
        self._read = read
        self._backlog = backlog
        self._render = render
        self._recount = Recount(self.count_open)
        self._jobs_unconfirmed = UnconfirmedClaims()
        self._deliveries_unconfirmed = UnconfirmedClaims()

    async def accept(self, job: NewJob, limits: Limits) -> Accepted:
        self._recount.if_due()
        # Here rather than in the transaction, which holds lines.
        request = dump_request(job.request)
        return await self._write.run(
            lambda tx: accepting.accept(tx, job, request, limits, self._backlog.size), accepting.PLAN, len(request)
        )

    async def find_accepted(self, tenant_id: str, idempotency_key: str, request_hash: str) -> Accepted | None:
        return await self._read.run(
            lambda tx: reading.find_accepted(tx, tenant_id, idempotency_key, request_hash), reading.FIND_PLAN
        )

    async def claim_jobs(self, owner: str, limit: int, lease_seconds: float) -> Claims:
        def claim(name: str, unconfirmed: Sequence[str]) -> Awaitable[Claims]:
            return self._write.run(lambda tx: leasing.claim_jobs(tx, name, limit, lease_seconds, unconfirmed))

        return await self._jobs_unconfirmed.claim(owner, claim)

    async def claim_deliveries(
        self, owner: str, limit: int, lease_seconds: float, lines: Sequence[OriginLine] = ()
    ) -> Claims:
        def claim(name: str, unconfirmed: Sequence[str]) -> Awaitable[Claims]:
            return self._write.run(lambda tx: sending.claim(tx, name, limit, lease_seconds, unconfirmed, lines))

        return await self._deliveries_unconfirmed.claim(owner, claim)

    async def extend_jobs(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        return await self._write.run(lambda tx: leasing.extend(tx, leasing.EXTEND_JOB, held, lease_seconds))

    async def extend_deliveries(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        return await self._write.run(lambda tx: leasing.extend(tx, leasing.EXTEND_DELIVERY, held, lease_seconds))

    async def release_jobs(self, held: Sequence[tuple[str, int, float]]) -> None:
        await self._write.run(lambda tx: leasing.release(tx, leasing.RELEASE_JOB, held))

    async def release_deliveries(self, held: Sequence[tuple[str, int, float]]) -> None:
        await self._write.run(lambda tx: leasing.release(tx, leasing.RELEASE_DELIVERY, held))

    async def recent_turns(self, conversation_id: int, limit: int) -> Sequence[Turn]:
        return await self._read.run(lambda tx: reading.recent_turns(tx, conversation_id, limit), reading.RECENT_PLAN)

    async def recall(self, conversation_id: int, limit: int) -> Recalled:
        return await self._read.run(lambda tx: reading.recall(tx, conversation_id, limit), reading.RECALL_PLAN)

    async def finish(self, claim: ClaimedJob, result: Ending, report: Report) -> bool:
        return await self._write.run(
            lambda tx: ending.finish(tx, claim, result, report, self._render),
            ending.FINISH_PLAN,
            ending.carried(result),
        )

    async def requeue(
        self, claim: ClaimedJob, delay: float, counted: bool, failure: Failure, report: Report | None
    ) -> bool:
        return await self._write.run(
            lambda tx: ending.requeue(tx, claim, delay, counted, failure, report), ending.REQUEUE_PLAN
        )

    async def hand_over(self, claim: ClaimedJob, timeout: float, report: Report) -> bool:
        return await self._write.run(lambda tx: awaiting.hand_over(tx, claim, timeout, report))

    async def require_review(self, job_id: str) -> None:
        await self._read.run(lambda tx: awaiting.require_review(tx, job_id))

    async def answer_review(self, job_id: str, result: Ending) -> tuple[bool, bool]:
        return await self._write.run(lambda tx: awaiting.answer(tx, job_id, result, self._render))

    async def delivered(self, claim: ClaimedDelivery, report: Report) -> bool:
        return await self._report(claim, DeliveryState.DELIVERED, 0.0, report)

    async def send_later(self, claim: ClaimedDelivery, delay: float, report: Report) -> bool:
        return await self._report(claim, DeliveryState.PENDING, delay, report)

    async def dead(self, claim: ClaimedDelivery, report: Report) -> bool:
        return await self._report(claim, DeliveryState.DEAD, 0.0, report)

    async def _report(self, claim: ClaimedDelivery, state: DeliveryState, delay: float, report: Report) -> bool:
        return await self._write.run(lambda tx: delivering.report(tx, claim, state, delay, report), delivering.PLAN)

    async def reported(self, row_id: str, epoch: int, report: Report) -> bool:
        return await self._read.run(lambda tx: reading.reported(tx, row_id, epoch, report))

    async def recover_leases(self) -> Swept:
        return await self._write.run(lambda tx: sweeping.recover_leases(tx, self._render))

    async def expire_jobs(self) -> Swept:
        return await self._write.run(lambda tx: sweeping.expire_jobs(tx, self._render))

    async def release_orphans(self) -> Swept:
        return await self._write.run(sweeping.release_orphans)

    async def prune(self, retention_days: float) -> Swept:
        return await self._write.run(lambda tx: sweeping.prune(tx, retention_days))

    async def count_open(self) -> int:
        return await self._write.run(lambda tx: sweeping.count_open(tx, self._backlog.reset))

    async def depth(self) -> Depth:
        return await self._read.run(measuring.depth)

    async def get_job(self, tenant_id: str, job_id: str) -> JobRecord:
        return await self._read.run(lambda tx: reading.get_job(tx, tenant_id, job_id))

    async def list_jobs(
        self, tenant_id: str, state: JobState | None, session_id: str | None, before: str | None, limit: int
    ) -> Sequence[JobRecord]:
        return await self._read.run(lambda tx: reading.list_jobs(tx, tenant_id, state, session_id, before, limit))

    async def cancel_job(self, tenant_id: str, job_id: str) -> bool:
        return await self._write.run(lambda tx: cancelling.cancel_job(tx, tenant_id, job_id, self._render))

    async def retry_source(self, tenant_id: str, job_id: str) -> tuple[Job, Accepted | None]:
        return await self._read.run(lambda tx: reading.retry_source(tx, tenant_id, job_id))

    async def replay_delivery(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        return await self._write.run(lambda tx: delivering.replay(tx, tenant_id, delivery_id))

    async def get_conversation(self, tenant_id: str, key: str) -> Conversation:
        return await self._read.run(lambda tx: remembering.get_conversation(tx, tenant_id, key))

    async def erase_conversation(self, tenant_id: str, key: str) -> None:
        await self._write.run(lambda tx: remembering.erase_conversation(tx, tenant_id, key))

    async def keep_question(self, tenant_id: str, question: str, answer: str) -> None:
        await self._write.run(lambda tx: questions.keep_question(tx, tenant_id, question, answer))

    async def list_questions(self, tenant_id: str, limit: int) -> Sequence[Question]:
        return await self._read.run(lambda tx: questions.list_questions(tx, tenant_id, limit))

    async def begin_call(self, call: IdempotentRequest, lease_seconds: float) -> ClaimedRecord | StoredResponse:
        return await self._write.run(lambda tx: idempotency.begin(tx, call, lease_seconds))

    async def extend_call(self, claim: ClaimedRecord, lease_seconds: float) -> bool:
        return await self._write.run(lambda tx: idempotency.extend(tx, claim, lease_seconds))

    async def keep_response(self, claim: ClaimedRecord, response: StoredResponse | None) -> bool:
        return await self._write.run(lambda tx: idempotency.keep(tx, claim, response))

    async def forget_call(self, claim: ClaimedRecord) -> None:
        await self._write.run(lambda tx: idempotency.forget(tx, claim))

    async def callback_secrets(self, configured: str | None) -> Sequence[str]:
        return await self._write.run(lambda tx: keys.callback_secrets(tx, configured))

    async def rotate_secret(self) -> str:
        return await self._write.run(keys.rotate_secret)

    async def own_secret(self, name: str) -> str:
        return await self._write.run(lambda tx: own_secrets.own_secret(tx, name))

    async def create_key(self, name: str, key_hash: str, rate_limit: str | None = None) -> ApiKey:
        return await self._write.run(lambda tx: keys.create_key(tx, name, key_hash, rate_limit))

    async def list_keys(self) -> Sequence[ApiKey]:
        return await self._read.run(keys.list_keys)

    async def revoke_key(self, key_id: str) -> None:
        await self._write.run(lambda tx: keys.revoke_key(tx, key_id))

    async def ping(self) -> None:
        await self._write.run(probing.probe)

    async def close(self) -> None:
        await asyncio.gather(self._recount.close(), self._write.close(), self._read.close())
