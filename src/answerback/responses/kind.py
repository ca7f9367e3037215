"""The kind `response`: a response that is stored, whether its caller waited for it or not."""

import time
from collections.abc import Awaitable, Mapping

from answerback.jobs.events import JobEvents
from answerback.jobs.kind import Claimed, Description, Effects, Ending, Event, Job, JobState, Queue
from answerback.jobs.outcome import Completed, Failed, Outcome
from answerback.kernel.clock import Clock
from answerback.kernel.errors import ErrorCode, Failure, InvalidField
from answerback.kernel.json import Json
from answerback.kernel.persistence import persist
from answerback.kernel.retry import JOB_SCHEDULE, RetrySchedule
from answerback.llm.model import ChatRequest
from answerback.llm.provider import Provider, send_streamed
from answerback.llm.reply import StreamedReply
from answerback.responses import ids, stored
from answerback.responses.answering import Answering, Start
from answerback.responses.body import Progress
from answerback.responses.chat_body import OPTIONAL
from answerback.responses.context import Contexts
from answerback.responses.emission import emitted
from answerback.responses.model import Asked
from answerback.responses.opening import Opening
from answerback.responses.store import KIND
from answerback.responses.tools import Toolbox


class ResponseKind:
    """Implements `Kind[Asked]`. `timeout` bounds one call to the LLM, in seconds."""

    name = KIND
    queue = Queue.INTERACTIVE
    retries = JOB_SCHEDULE
    callback_retries: RetrySchedule | None = None

    def __init__(self, provider: Provider, contexts: Contexts, events: JobEvents, timeout: float, clock: Clock) -> None:
        self._provider = provider
        self._contexts = contexts
        self._events = events
        self._timeout = timeout
        self._clock = clock

    def encode(self, args: Asked) -> str:
        return stored.encode(args)

    def decode(self, raw: str) -> Asked:
        return stored.decode(raw)

    async def check(self, args: Asked, tenant_id: str, conversation_key: str | None) -> None:
        """All has been checked where the request was read."""

    async def run(self, claim: Claimed[Asked]) -> Outcome:
        asked, toolbox = claim.job.args, Toolbox.of(claim.job.args.parameters)
        try:
            items = await persist(lambda: self._contexts.items(claim.tenant_id, asked))
            opening = Opening(asked, items, toolbox)
        except InvalidField as refusal:
            return Failed(Failure(ErrorCode.CONTEXT_GONE, refusal.message, refusal.field))
        timeout = max(0.001, min(self._timeout, claim.seconds_left))
        asked_at = time.perf_counter()

        def send(body: Mapping[str, Json]) -> Awaitable[StreamedReply]:
            request = ChatRequest(body, timeout, claim.tenant_id, queued=True, stream=True, optional=OPTIONAL)
            return send_streamed(self._provider, request)

        reply = await opening.reply(send)
        start = Start(ids.response_id(claim.id), claim.job.created_at, asked.model or "")
        answering = Answering(asked, toolbox, start, self._clock)
        at = await (emitted(self._events, claim, answering, reply) if asked.streamed else answering.read(reply))
        return Completed(stored.result_of(at), time.perf_counter() - asked_at, _about(at))

    def effects(self, job: Job[Asked | None], ending: Ending) -> Effects:
        """OpenAI's events name the response only; it is fetched by its id."""
        data = {"job_id": job.id, "id": ids.response_id(job.id)}
        status = (ending.result or {}).get("status") or stored.STATUSES[ending.state]
        return Effects((Event(f"{self.name}.{status}", data),))

    def redact(self, args: Asked) -> Asked:  # noqa: ARG002 (nothing of it is left)
        return stored.ERASED

    def describe(self, job: Job[Asked], ending: Ending | None) -> Description:
        result = (ending.result if ending else None) or {}
        return Description(
            {
                "response_id": ids.response_id(job.id),
                "model": result.get("model") or job.args.model,
                "usage": result.get("usage"),
                "background": job.args.background,
            }
        )


def _about(at: Progress) -> dict[str, object]:
    tokens = at.usage["total_tokens"] if at.usage is not None else None
    return {"model": at.model, "tokens": tokens, "finish": at.reason or JobState.COMPLETED.value}
