"""What stories begin with: messages, claims, answers, and stand-ins for the world around the core."""

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from answerback.conversations.model import Memory
from answerback.jobs.finish import End
from answerback.jobs.kind import Claimed, JobState
from answerback.jobs.model import Accepted, Finished, Limits, NewJob
from answerback.jobs.outcome import Retry
from answerback.kernel.clock import SystemClock
from answerback.kernel.errors import AnyFailure, ErrorCode, Failure
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.shares import Shares
from answerback.kernel.usage import Usage
from answerback.llm.model import Answer, ChatRequest
from answerback.llm.reply import WholeReply
from answerback.queue.attempts import Report
from answerback.queue.birth import T
from answerback.queue.leases import Offer
from answerback.queue.notifier import Topic
from answerback.webhooks.birth import DeliveryBirths
from answerback.webhooks.model import ClaimedDelivery, OriginKey, OriginRoom
from answerback.webhooks.sending.outcome import AttemptEnd, CallbackResponse
from stores import Stores
from toy import Note

URL = "https://receiver.example/hook"
TENANT = "tenant-a"
LEASE = 60.0
ROOMY = Limits(conversation_pending=1_000, queued_jobs=100_000, queued_jobs_per_tenant=100_000)
MEMORY = Memory(max_messages=20, max_tokens=8_000, ttl_seconds=86_400)
DAY = 86_400.0
DAY_MS = 86_400_000
FAILURE = Failure(ErrorCode.UPSTREAM_ERROR, "the LLM is not well")
STORED_FAILURE = AnyFailure(FAILURE.code, FAILURE.message)
REPORT = Report("reported")


def new_job(text: str = "hello", session: str | None = "s", **changes: Any) -> NewJob:
    """A job of a session, of the toy kind; `session=None` makes it one without a conversation."""
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "kind": "echo",
        "queue": "interactive",
        "args": json.dumps({"text": text}),
        "parsed": Note(text),
        "callback_url": URL,
        "conversation_key": session,
        "deadline_seconds": DAY,
    }
    return NewJob(**fields | changes)


async def accept(stores: Stores, text: str = "hello", session: str | None = "s", **changes: Any) -> Accepted:
    return await stores.jobs.accept(new_job(text, session, **changes), ROOMY)


def roomy() -> Shares:
    """Places for any tenant."""
    return Shares(100_000, 1_000_000.0)


async def claim_jobs(stores: Stores, limit: int = 100, lease: float = LEASE) -> list[Claimed[Any]]:
    return list((await stores.jobs.claim("worker", limit, lease, roomy())).jobs)


async def claim_job(stores: Stores) -> Claimed[Any]:
    (claim,) = await claim_jobs(stores)
    return claim


async def claim_deliveries(stores: Stores, limit: int = 100) -> list[ClaimedDelivery]:
    claims = await stores.deliveries.claim("worker", limit, LEASE, lambda *_: OriginRoom(limit), roomy())
    return list(claims.deliveries)


async def claim_delivery(stores: Stores) -> ClaimedDelivery:
    (claim,) = await claim_deliveries(stores)
    return claim


def answer(text: str = "an answer") -> Answer:
    return Answer(text=text, model="model-1", usage=Usage(1, 2, 3), finish_reason="stop")


def replied(answer: Answer) -> WholeReply:
    """The answer as an upstream sends it."""
    message = {"role": "assistant", "content": answer.text, "tool_calls": list(answer.tool_calls)}
    choices = [{"index": 0, "message": message, "finish_reason": answer.finish_reason}]
    document = {"model": answer.model, "choices": choices, "usage": answer.usage and asdict(answer.usage)}
    return WholeReply(json.dumps(document).encode(), document, answer.model)


def completed(text: str = "an answer") -> End:
    return End.completed({"text": text})


def failed() -> End:
    return End(JobState.FAILED, failure=FAILURE)


def later(delay: float = 5.0, *, counted: bool = True) -> Retry:
    return Retry(delay, FAILURE, counted=counted)


async def finish(stores: Stores, claim: Claimed[Any], end: End | None = None) -> Finished | None:
    return await stores.jobs.finish(claim, end or completed(), REPORT)


async def ended_job(stores: Stores, text: str = "hello", session: str | None = "s", end: End | None = None) -> str:
    """Accepts, claims and finishes one job of idle stores."""
    accepted = await accept(stores, text, session)
    assert await finish(stores, await claim_job(stores), end)
    return accepted.job_id


async def owed_delivery(stores: Stores) -> ClaimedDelivery:
    """One delivery, claimed, of idle stores."""
    await ended_job(stores)
    return await claim_delivery(stores)


async def recover(stores: Stores) -> int:
    """Takes back every lease that ran out, and lets a quarantined job run; how many leases that were."""
    taken = (await stores.jobs.recover()).total() + await stores.deliveries.recover()
    await stores.jobs.release_quarantined()
    return taken


async def state_of(stores: Stores, job_id: str) -> JobState:
    return (await stores.jobs.get(TENANT, job_id)).state


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as anyone with the file can open it, in autocommit."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def rows(path: Path, sql: str, *parameters: Any) -> list[Any]:
    with raw(path) as connection:
        return connection.execute(sql, parameters).fetchall()


def dump(path: Path) -> list[str]:
    """All that the database holds."""
    with raw(path) as connection:
        return list(connection.iterdump())


def refusal(*, retryable: bool, retry_after: float | None = None) -> ProviderError:
    return ProviderError(FAILURE.code, FAILURE.message, retryable=retryable, retry_after=retry_after)


class RealClock(SystemClock):
    """For what runs on the event loop's own time."""


class Journal:
    """Implements `Log`: remembers, and lets a test wait for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []
        self._counts: Counter[str] = Counter()
        self._seen: defaultdict[tuple[str, int], asyncio.Event] = defaultdict(asyncio.Event)

    def info(self, event: str, /, **fields: object) -> None:
        self.lines.append((event, fields))
        self._counts[event] += 1
        self._seen[event, self._counts[event]].set()

    warning = error = exception = info

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]

    async def seen(self, event: str, times: int = 1) -> None:
        await asyncio.wait_for(self._seen[event, times].wait(), 20)


class Notifier:
    """Implements `Notifier`: counts."""

    def __init__(self) -> None:
        self.jobs = 0
        self.deliveries = 0
        self.cancelled: list[str] = []

    def wake(self, topic: Topic) -> None:
        self.jobs += topic is Topic.JOBS
        self.deliveries += topic is Topic.DELIVERIES

    def job_cancelled(self, job_id: str) -> None:
        self.cancelled.append(job_id)


class NoPlaces(DeliveryBirths):
    """No delivery is born claimed: each waits for a claim."""

    def __init__(self) -> None: ...

    async def insert(
        self, tenant_id: str, callback_url: str | None, insert: Callable[[Offer | None], Awaitable[T]]
    ) -> T:
        return await insert(None)


class StubProvider:
    """Answers as the script says: an answer, an error to raise, or a function of the request. The last stays."""

    name = "stub"

    def __init__(self, *script: Answer | Exception | Callable[[ChatRequest], Answer]) -> None:
        self.script = list(script or [answer()])
        self.requests: list[ChatRequest] = []

    async def send(self, request: ChatRequest) -> WholeReply:
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return replied(step if isinstance(step, Answer) else step(request))

    async def close(self) -> None:
        return


class StubSender:
    """Takes callbacks as the script says: a status, a response, or an error to raise. The last stays."""

    def __init__(self, *script: int | CallbackResponse | Exception) -> None:
        self.script = list(script or [200])
        self.sent: list[tuple[str, dict[str, str], bytes]] = []

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        self.sent.append((url, headers, body))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return CallbackResponse(step, None, "") if isinstance(step, int) else step

    async def close(self) -> None:
        return


class StubOrigins:
    """Has as much room as the script says, the last stays; remembers how the attempts went."""

    def __init__(self, *rooms: OriginRoom) -> None:
        self.rooms = list(rooms or [OriginRoom(1_000)])
        self.looked: list[tuple[OriginKey, bool]] = []
        self.begun: list[OriginKey] = []
        self.ends: list[AttemptEnd] = []
        self.seconds: list[float] = []
        self.named: list[float | None] = []
        self.drained_keys: list[OriginKey] = []
        self.reserved = 0
        self.behind: list[bool] = []
        self.closed = False
        self.more_may_begin = False

    def look(self, key: OriginKey, late: bool, unreached: bool = False) -> OriginRoom:
        self.looked.append((key, late))
        return self.rooms.pop(0) if len(self.rooms) > 1 else self.rooms[0]

    def is_open(self, key: OriginKey) -> bool:
        return self.closed

    def reserve(self, key: OriginKey) -> bool:
        room = self.look(key, late=False)
        self.reserved += bool(room.free)
        return bool(room.free)

    def give_back(self, key: OriginKey, *, behind: bool = False) -> bool:
        self.reserved -= 1
        self.behind.append(behind)
        return self.more_may_begin

    def began(self, key: OriginKey, late: bool, early: bool = False, *, reserved: bool = False) -> None:
        self.reserved -= reserved
        self.begun.append(key)

    def ended(self, key: OriginKey, end: AttemptEnd, seconds: float, path: str, retry_after: float | None) -> bool:
        self.ends.append(end)
        self.seconds.append(seconds)
        self.named.append(retry_after)
        return self.more_may_begin

    def drained(self, key: OriginKey) -> None:
        self.drained_keys.append(key)


def nothing(_: object) -> None:
    """A failpoint that is not armed."""
