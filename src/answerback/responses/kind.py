"""The kind `response`: a response that is stored, whether its caller waited for it or not."""

import random
import time
from collections.abc import Awaitable, Mapping
from dataclasses import replace

from answerback.http.openai_errors import UnsupportedValue
from answerback.jobs.deadline import named_deadline
from answerback.jobs.events import JobEvents
from answerback.jobs.kind import Claimed, Description, Effects, Ending, Event, Job, JobState, Queue
from answerback.jobs.outcome import Completed, Failed, Outcome, Retry
from answerback.kernel.clock import Clock
from answerback.kernel.errors import UNUSABLE, Conflict, ErrorCode, Failure, InvalidField
from answerback.kernel.json import Json
from answerback.kernel.persistence import persist
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import JOB_SCHEDULE, RetrySchedule, ShortRetries
from answerback.llm.model import ChatRequest
from answerback.llm.provider import Provider, send_streamed
from answerback.llm.reply import StreamedReply
from answerback.responses import ids
from answerback.responses.answers.answering import Answering
from answerback.responses.answers.chat_body import OPTIONAL
from answerback.responses.answers.emission import emitted
from answerback.responses.answers.opening import Opening
from answerback.responses.body import Progress, Start
from answerback.responses.context import Contexts
from answerback.responses.items.history import ChainTooLong
from answerback.responses.model import Asked, Item
from answerback.responses.stored import rows
from answerback.responses.stored.rows import KIND, TurnPlace
from answerback.responses.tools.toolbox import Toolbox


class ResponseKind:
    """Implements `Kind[Asked]`. `timeout` bounds one call to the LLM, in seconds; `waited_for` is how one is retried
    whose caller waits."""

    name = KIND
    queue = Queue.INTERACTIVE
    retries = JOB_SCHEDULE
    callback_retries: RetrySchedule | None = None

    def __init__(
        self,
        provider: Provider,
        contexts: Contexts,
        events: JobEvents,
        timeout: float,
        waited_for: ShortRetries,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._contexts = contexts
        self._events = events
        self._waited_for = waited_for
        self._timeout = timeout
        self._clock = clock

    def encode(self, args: Asked) -> str:
        return rows.encode(args)

    def decode(self, raw: str) -> Asked:
        return rows.decode(raw)

    async def check(self, args: Asked, tenant_id: str, conversation_key: str | None) -> None:  # noqa: ARG002
        """All else has been checked where the request was read. Raises Conflict."""
        if args == rows.ERASED:
            raise Conflict("this response was deleted: send its request again instead")

    async def run(self, claim: Claimed[Asked]) -> Outcome:
        asked = claim.job.args
        try:
            items = await persist(lambda: self._contexts.items(claim.tenant_id, asked, _place(claim.job)))
            toolbox = Toolbox.in_context(asked, items)
            opening = Opening(asked, items, toolbox)
        except (ChainTooLong, UnsupportedValue) as refusal:
            return Failed(Failure(ErrorCode.CONTEXT_GONE, refusal.message, refusal.field, refusal.code))
        except InvalidField as refusal:
            return Failed(Failure(ErrorCode.CONTEXT_GONE, refusal.message, refusal.field))
        timeout = max(0.001, min(self._timeout, claim.seconds_left))
        asked_at = time.perf_counter()

        def send(body: Mapping[str, Json]) -> Awaitable[StreamedReply]:
            request = ChatRequest(body, timeout, claim.tenant_id, queued=True, stream=True, optional=OPTIONAL)
            return send_streamed(self._provider, request)

        start = Start(ids.response_id(claim.id), claim.job.created_at, asked.model or "", toolbox)
        answering = Answering(asked, start, self._clock)
        try:
            with named_deadline(claim):
                reply = await opening.reply(send)
                at = await (emitted(self._events, claim, answering, reply) if asked.streamed else answering.read(reply))
        except ProviderError as error:
            if asked.background or self._is_put_off(error):
                raise
            return self._after(error, claim.attempt)
        return Completed(rows.result_of(at), time.perf_counter() - asked_at, _about(at), usage=at.cost)

    def _is_put_off(self, error: ProviderError) -> bool:
        """Whether our own limits hold the call back, which a caller does not see but as time, while it is short."""
        return not error.asked and self._waited_for.delay(1, error.retry_after, random.random) is not None

    def _after(self, error: ProviderError, attempt: int) -> Outcome:
        delay = None
        if error.retryable and error.failure.code not in UNUSABLE:
            delay = self._waited_for.delay(attempt, error.retry_after, random.random)
        remark = None if error.base_url is None else error.for_operator
        if delay is None:
            final = not error.retryable or (error.asked and attempt > self._waited_for.retries)
            failure = replace(error.failure, status=error.shown_status, retry_after=error.retry_after, final=final)
            return Failed(failure, error.http_status, remark)
        return Retry(delay, error.failure, http_status=error.http_status, remark=remark)

    def effects(self, job: Job[Asked | None], ending: Ending) -> Effects:
        """OpenAI's events name the response only; it is fetched by its id. One whose caller waited has none."""
        response_id, asked, result = ids.response_id(job.id), job.args, ending.result
        items: tuple[Item, ...] = ()
        if asked is not None and asked.conversation is not None and result is not None:
            items = (*rows.named(response_id, asked.input), *result["output"])
        if asked is not None and not asked.background:
            return Effects(items=items)
        status = (result or {}).get("status") or rows.STATUSES[ending.state]
        return Effects((Event(f"{self.name}.{status}", {"job_id": job.id, "id": response_id}),), items)

    def redact(self, args: Asked) -> Asked:  # noqa: ARG002 (nothing of it is left)
        return rows.ERASED

    def describe(self, job: Job[Asked], ending: Ending | None) -> Description:
        result = (ending.result if ending else None) or {}
        return Description(
            {
                "response_id": ids.response_id(job.id),
                "model": result.get("model") or job.args.model,
                "usage": result.get("usage"),
                "background": job.args.background,
                "streamed": job.args.streamed,
            }
        )


def _place(job: Job[Asked]) -> TurnPlace | None:
    if job.conversation_id is None or job.position is None:
        return None
    return TurnPlace(job.conversation_id, job.position)


def _about(at: Progress) -> dict[str, object]:
    tokens = at.usage["total_tokens"] if at.usage is not None else None
    return {"model": at.model, "tokens": tokens, "finish": at.reason or JobState.COMPLETED.value}
