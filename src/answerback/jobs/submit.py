"""Submitting a job: it is checked, then accepted; an `Accepted` has been committed."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Protocol

from answerback.jobs.kind import Claimed, Queue
from answerback.jobs.model import Accepted, Limits, NewJob, Submission, Tried
from answerback.jobs.store import JobStore
from answerback.kernel.errors import CallbackRefused
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.instruments import Instruments
from answerback.kernel.shielded import shielded
from answerback.queue.birth import Births
from answerback.queue.leases import Offer
from answerback.queue.notifier import Notifier, Topic


class UrlGuard(Protocol):
    """Knows which addresses the service may call."""

    async def check(self, url: str, tenant_id: str) -> None:
        """Raises CallbackRefused. A name is looked up in the tenant's turn; one that does not resolve now passes: the
        connection is checked anyway."""


class Submitter:
    """The one way into the queue, for every feature. `deadline_seconds` is how long an answer may take. `births` is
    None where other processes run the jobs."""

    def __init__(
        self,
        store: JobStore,
        guard: UrlGuard,
        notifier: Notifier,
        limits: Limits,
        deadline_seconds: float,
        instruments: Instruments,
        births: Births[Claimed[Any]] | None = None,
    ) -> None:
        self._store = store
        self._guard = guard
        self._notifier = notifier
        self._limits = limits
        self._deadline_seconds = deadline_seconds
        self._instruments = instruments
        self._births = births

    async def submit(self, wanted: Submission) -> Accepted:
        """Accepts a job, or returns the earlier acceptance of the same idempotency key and body.

        Raises CallbackRefused, what the kind's `check` raises, ConversationFull, TenantFull, Overloaded,
        IdempotencyConflict, StorageUnavailable.
        """
        kind, args = wanted.kind, wanted.kind.encode(wanted.args)
        request_hash = wanted.request_hash
        if wanted.idempotency_key is not None and request_hash is None:
            request_hash = fingerprint(args, wanted.callback_url)
            # Before the checks: a repeated request gets its first answer, whatever a name resolves to today.
            earlier = await self.earlier(wanted.tenant_id, wanted.idempotency_key, request_hash)
            if earlier is not None:
                return earlier
        await self._check(wanted)
        return await self._accept(
            NewJob(
                tenant_id=wanted.tenant_id,
                kind=kind.name,
                queue=kind.queue,
                args=args,
                parsed=wanted.args,
                callback_url=wanted.callback_url,
                conversation_key=wanted.conversation_key,
                deadline_seconds=self._deadline_seconds,
                idempotency_key=wanted.idempotency_key,
                request_hash=request_hash,
                traceparent=self._instruments.tracer.current(),
                key_id=wanted.key_id,
                transient=wanted.transient,
            )
        )

    async def earlier(self, tenant_id: str, idempotency_key: str, request_hash: str) -> Accepted | None:
        """The acceptance of the same request under this key. Raises IdempotencyConflict, StorageUnavailable."""
        return await self._store.find_accepted(tenant_id, idempotency_key, request_hash)

    async def take_earlier(self, tenant_id: str, tried: Tried) -> Accepted | None:
        """The acceptance of an earlier try, whose client has not received it. Raises StorageUnavailable."""
        return await self._store.take_earlier(tenant_id, tried) if tried.number else None

    async def retry(self, tenant_id: str, job_id: str, key_id: str | None = None) -> Accepted:
        """Accepts an unsuccessful job's arguments anew, at the end of its conversation; a repeated call returns the
        same new job. `key_id` is the key that asks for it.

        The ended job keeps its ending and its callback. Raises NotFound, Conflict, and what `submit` raises.
        """
        source = await self._store.retry_source(tenant_id, job_id, self._deadline_seconds)
        again = source.again
        if isinstance(again, Accepted):
            return again
        await self._check(Submission(source.kind, again.parsed, tenant_id, again.callback_url, again.conversation_key))
        traced = replace(again, traceparent=self._instruments.tracer.current(), key_id=key_id)
        return await self._accept(traced)

    async def _check(self, wanted: Submission) -> None:
        if wanted.callback_url is not None:
            try:
                await self._guard.check(wanted.callback_url, wanted.tenant_id)
            except CallbackRefused as refusal:
                raise refusal.named(wanted.url_field) from None
        await wanted.kind.check(wanted.args, wanted.tenant_id, wanted.conversation_key)

    async def _accept(self, job: NewJob) -> Accepted:
        if self._births is None or job.queue != Queue.INTERACTIVE:
            return self._accepted(job, await self._store.accept(job, self._limits))
        # A client that hangs up must not leave a job claimed that nobody runs.
        return await shielded(asyncio.ensure_future(self._accept_with_offer(job, self._births)))

    async def _accept_with_offer(self, job: NewJob, births: Births[Claimed[Any]]) -> Accepted:
        def insert(offer: Offer | None) -> Awaitable[Accepted]:
            return self._store.accept(job, self._limits, offer)

        return self._accepted(job, await births.insert(job.tenant_id, insert))

    def _accepted(self, job: NewJob, accepted: Accepted) -> Accepted:
        if accepted.created:
            self._instruments.failpoint(Failpoint.AFTER_ACCEPT)
            self._instruments.metrics.accepted(job.kind)
            self._instruments.log.info(
                "accepted", job=accepted.job_id, tenant=job.tenant_id, kind=job.kind, seq=accepted.position
            )
            if accepted.queued:
                self._notifier.wake(Topic.JOBS)
        return accepted


def fingerprint(args: str, callback_url: str | None) -> str:
    """A hash that ignores the layout of the JSON."""
    canonical = json.dumps([json.loads(args), callback_url], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
