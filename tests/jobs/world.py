"""What stories of jobs begin with: stores on a fresh database, a clock that a test moves, and the toy kind."""

from dataclasses import dataclass, field
from typing import Any

from toy import EchoKind

from answerback.database.operation import Database
from answerback.jobs.backlog import Backlog
from answerback.jobs.finish import End
from answerback.jobs.kind import Claimed, Ending, JobState, Registry
from answerback.jobs.model import Accepted, Finished, Limits, NewJob
from answerback.jobs.store import JobStore
from answerback.kernel.errors import ErrorCode, Failure
from answerback.queue.attempts import Report
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import ClaimedDelivery
from answerback.webhooks.store import DeliveryStore

URL = "https://receiver.example/hook"
TENANT = "tenant-a"
LEASE = 60.0
DAY = 86_400.0
ROOMY = Limits(conversation_pending=1_000, queued_jobs=100_000)
FAILURE = Failure(ErrorCode.UPSTREAM_ERROR, "the LLM is not well")
FAILED = End(JobState.FAILED, failure=FAILURE)
REPORT = Report("reported")


def new_job(text: str = "hello", session: str | None = "s", **changes: Any) -> NewJob:
    """A job of a session; `session=None` makes it one without a conversation."""
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "kind": "echo",
        "queue": "interactive",
        "args": f'{{"text": "{text}"}}',
        "callback_url": URL,
        "conversation_key": session,
        "deadline_seconds": DAY,
    }
    return NewJob(**fields | changes)


def completed(text: str = "an answer") -> End:
    return End.completed({"text": text})


@dataclass
class World:
    database: Database
    clock: FakeClock
    backlog: Backlog
    kind: EchoKind = field(default_factory=EchoKind)

    def __post_init__(self) -> None:
        self.kinds = Registry([self.kind])
        self.jobs = JobStore(self.database, self.kinds, self.backlog)
        self.deliveries = DeliveryStore(self.database)

    async def accept(self, text: str = "hello", session: str | None = "s", **changes: Any) -> Accepted:
        return await self.jobs.accept(new_job(text, session, **changes), ROOMY)

    async def claims(self, limit: int = 100, lease: float = LEASE) -> list[Claimed[Any]]:
        return list((await self.jobs.claim("worker", limit, lease)).jobs)

    async def claim(self) -> Claimed[Any]:
        (claim,) = await self.claims()
        return claim

    async def finish(self, claim: Claimed[Any], end: End | None = None) -> Finished | None:
        return await self.jobs.finish(claim, end or completed(), REPORT)

    async def ended_job(self, text: str = "hello", session: str | None = "s", end: End | None = None) -> str:
        """Accepts, claims and finishes one job of an idle store."""
        accepted = await self.accept(text, session)
        assert await self.finish(await self.claim(), end)
        return accepted.job_id

    async def state(self, job_id: str) -> JobState:
        return (await self.jobs.get(TENANT, job_id)).state

    async def ending(self, job_id: str) -> Ending | None:
        return (await self.jobs.get(TENANT, job_id)).ending

    async def due_deliveries(self) -> list[ClaimedDelivery]:
        raise NotImplementedError
