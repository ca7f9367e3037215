"""Accepting: the door's only call. What comes back has been committed."""

import asyncio
import hashlib
import json
from dataclasses import asdict
from typing import assert_never

from answerback.conversations.superseded.memory import key_of
from answerback.jobs.model import Accepted, Job, JobKind, Message, NewJob, Request
from answerback.jobs.ports import Limits, Store
from answerback.kernel.errors import CallbackRefused, InvalidField
from answerback.kernel.failpoints import Failpoint, OnFailpoint
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, UNTRACED, Metrics, Tracer
from answerback.queue.notifier import Notifier
from answerback.reviews.model import Review
from answerback.webhooks.ports import Guard


class Intake:
    """Turns requests into jobs. `deadline_seconds` is how long an answer may take; with `reads_files` the files of
    reviews are read here, so that their addresses must be ones that may be called, too."""

    def __init__(
        self,
        store: Store,
        guard: Guard,
        notifier: Notifier,
        limits: Limits,
        deadline_seconds: float,
        log: Log,
        failpoint: OnFailpoint,
        metrics: Metrics = UNMEASURED,
        tracer: Tracer = UNTRACED,
        *,
        reads_files: bool = False,
    ) -> None:
        self._store = store
        self._guard = guard
        self._notifier = notifier
        self._limits = limits
        self._deadline_seconds = deadline_seconds
        self._log = log
        self._failpoint = failpoint
        self._metrics = metrics
        self._tracer = tracer
        self._reads_files = reads_files

    async def accept(
        self, tenant_id: str, request: Request, callback_url: str, idempotency_key: str | None = None
    ) -> Accepted:
        """Accepts a request, or answers again for the same idempotency key and body.

        Raises CallbackRefused, InvalidField, ConversationFull, Overloaded, IdempotencyConflict, StorageUnavailable.
        """
        request_hash = None
        if idempotency_key is not None:
            request_hash = fingerprint(request, callback_url)
            # Before the address check: a repeated request hears its first answer, whatever DNS says today.
            earlier = await self._store.find_accepted(tenant_id, idempotency_key, request_hash)
            if earlier is not None:
                return earlier
        await self._check(request, callback_url)
        return await self._store_job(
            NewJob(
                tenant_id=tenant_id,
                kind=kind_of(request),
                request=request,
                callback_url=callback_url,
                conversation_key=key_of(request, callback_url),
                deadline_seconds=self._deadline_seconds,
                idempotency_key=idempotency_key,
                request_hash=request_hash,
                traceparent=self._tracer.current(),
            )
        )

    async def retry(self, tenant_id: str, job_id: str) -> tuple[Job, Accepted]:
        """Accepts an unsuccessful job's message anew, at the end of its line, once however often it is asked.

        The ended job keeps its ending and its callback. Raises NotFound, Conflict, and what `accept` raises.
        """
        source, retried = await self._store.retry_source(tenant_id, job_id)
        if retried is not None:
            return source, retried
        if source.callback_url is None:
            raise AssertionError("a job that can be retried always has a callback URL")
        await self._check(source.request, source.callback_url)
        accepted = await self._store_job(
            NewJob(
                tenant_id=tenant_id,
                kind=source.kind,
                request=source.request,
                callback_url=source.callback_url,
                conversation_key=key_of(source.request, source.callback_url),
                deadline_seconds=self._deadline_seconds,
                retry_of=job_id,
                traceparent=self._tracer.current(),
            )
        )
        return source, accepted

    async def _check(self, request: Request, callback_url: str) -> None:
        """Raises CallbackRefused, and InvalidField for the first file that is at a forbidden address."""
        await self._guard.check(callback_url)
        if not (self._reads_files and isinstance(request, Review)):
            return
        checks = (self._guard.check(ref.url) for ref in request.file_refs)
        for number, refusal in enumerate(await asyncio.gather(*checks, return_exceptions=True)):
            if isinstance(refusal, CallbackRefused):
                raise InvalidField(f"file_refs.{number}.url", refusal.named("url").message)
            if refusal is not None:
                raise refusal

    async def _store_job(self, job: NewJob) -> Accepted:
        accepted = await self._store.accept(job, self._limits)
        if accepted.created:
            self._failpoint(Failpoint.AFTER_ACCEPT)
            self._metrics.accepted(job.kind)
            self._log.info("accepted", job=accepted.job_id, tenant=job.tenant_id, kind=job.kind.value, seq=accepted.seq)
            self._notifier.job_ready()
        return accepted


def kind_of(request: Request) -> JobKind:
    match request:
        case Message():
            return JobKind.MESSAGE
        case Review():
            return JobKind.REVIEW
        case _:
            assert_never(request)


def fingerprint(request: Request, callback_url: str) -> str:
    """Tells two bodies apart by what they say, not by how their JSON is laid out."""
    canonical = json.dumps([asdict(request), callback_url], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
