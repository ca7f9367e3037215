"""A claimed idempotency record: its lease is extended until its response is stored, or its key is released."""

import asyncio
import contextlib

from answerback.http.idempotency_store import ClaimedRecord, IdempotencyStore, IdempotentRequest, StoredResponse
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.log import Log

HEARTBEATS = 4
"""Extensions of a lease within its length."""


class IdempotencyRecords:
    """`lease_seconds` is how long a key stays claimed after the process that answers its request has died."""

    def __init__(self, store: IdempotencyStore, lease_seconds: float, log: Log) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._log = log

    async def claim(self, request: IdempotentRequest) -> "HeldRecord | StoredResponse":
        """A record for a new request, or the stored response of an answered one.

        Raises IdempotencyConflict, RequestInProgress, ResponseNotStored, StorageUnavailable.
        """
        claimed = await self._store.claim_request(request, self._lease_seconds)
        if isinstance(claimed, StoredResponse):
            self._log.info("response_repeated", route=request.route, tenant=request.tenant_id)
            return claimed
        return HeldRecord(claimed, self._store, self._lease_seconds, self._log)


class HeldRecord:
    """The record of a request that is being answered. Ends with `store` or `release`, one of which must be called."""

    def __init__(self, claimed: ClaimedRecord, store: IdempotencyStore, lease_seconds: float, log: Log) -> None:
        self._claimed = claimed
        self._store = store
        self._lease_seconds = lease_seconds
        self._log = log
        self._stored = False
        self._heartbeat = asyncio.ensure_future(self._extend())

    async def store(self, response: StoredResponse | None) -> None:
        """None stands for a response that is not to be stored, as one that is too large.

        Only logs a database that cannot store it: the response exists and was paid for, so it is sent anyway.
        """
        route = self._claimed.request.route
        try:
            self._stored = await self._store.store_response(self._claimed, response)
        except StorageUnavailable as error:
            self._log.error("response_not_stored", route=route, reason=str(error))
            return
        if not self._stored:
            self._log.warning("response_not_stored", route=route, reason="the lease was lost")

    async def release(self) -> None:
        """Frees the key, unless a response was stored. May be called more than once."""
        self._heartbeat.cancel()
        if self._stored:
            return
        # A key that cannot be released now is free once its lease has expired.
        with contextlib.suppress(StorageUnavailable):
            await self._store.release_claim(self._claimed)

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / HEARTBEATS)
            try:
                if not await self._store.extend_claim(self._claimed, self._lease_seconds):
                    return
            except StorageUnavailable as error:
                self._log.warning("heartbeat_missed", route=self._claimed.request.route, reason=str(error))
            except Exception:  # noqa: BLE001 - without heartbeats another request could claim the key too early
                self._log.exception("heartbeat_broke", route=self._claimed.request.route)
