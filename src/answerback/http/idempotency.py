"""Calls with a key: each is done once, and whoever sends it again hears its first response."""

import asyncio
import contextlib

from answerback.http.idempotency_model import ClaimedRecord, IdempotentRequest, StoredResponse
from answerback.jobs.ports import Store
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.log import Log

BEATS = 4
"""How often a lease is extended within its length."""


class IdempotencyRecords:
    """`lease_seconds` is how long the key of a call is kept from others after its process died."""

    def __init__(self, store: Store, lease_seconds: float, log: Log) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._log = log

    async def begin(self, call: IdempotentRequest) -> "HeldRecord | StoredResponse":
        """The call for this caller to answer, or the response that it had before.

        Raises IdempotencyConflict, CallInProgress, ResponseNotStored, StorageUnavailable.
        """
        begun = await self._store.begin_call(call, self._lease_seconds)
        if isinstance(begun, StoredResponse):
            self._log.info("response_replayed", door=call.door, tenant=call.tenant_id)
            return begun
        return HeldRecord(begun, self._store, self._lease_seconds, self._log)


class HeldRecord:
    """A call that is being answered. Its key is nobody else's until `keep` or `free`, of which one must be called."""

    def __init__(self, claim: ClaimedRecord, store: Store, lease_seconds: float, log: Log) -> None:
        self._claim = claim
        self._store = store
        self._lease_seconds = lease_seconds
        self._log = log
        self._kept = False
        self._beating = asyncio.ensure_future(self._beat())

    async def keep(self, response: StoredResponse | None) -> None:
        """Ends the call, None: with a response that is too large to keep.

        A response that is there and paid for goes out though the database cannot keep it.
        """
        try:
            self._kept = await self._store.keep_response(self._claim, response)
        except StorageUnavailable as error:
            self._log.error("response_not_kept", door=self._claim.call.door, reason=str(error))
            return
        if not self._kept:
            self._log.warning("response_not_kept", door=self._claim.call.door, reason="the lease was lost")

    async def free(self) -> None:
        """Gives the key back, unless the call was kept. Safe to call more than once."""
        self._beating.cancel()
        if self._kept:
            return
        # Else it is free once the lease has run out.
        with contextlib.suppress(StorageUnavailable):
            await self._store.forget_call(self._claim)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / BEATS)
            try:
                if not await self._store.extend_call(self._claim, self._lease_seconds):
                    return
            except StorageUnavailable as error:
                self._log.warning("heartbeat_missed", door=self._claim.call.door, reason=str(error))
            except Exception:  # noqa: BLE001 - without heartbeats, the key would be free before its call is answered
                self._log.exception("heartbeat_broke", door=self._claim.call.door)
