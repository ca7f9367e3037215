"""Signing callbacks with the secrets that are live now."""

from collections.abc import Sequence

from answerback.jobs.ports import Store
from answerback.kernel.clock import Clock
from answerback.webhooks import signature

FRESH_SECONDS = 5.0
"""How long this process may sign with the secrets it read: a rotation elsewhere is noticed within that."""


class Signer:
    """Reads the secrets from the store and keeps them for a moment."""

    def __init__(self, store: Store, configured: str | None, clock: Clock) -> None:
        self._store = store
        self._configured = configured
        self._clock = clock
        self._secrets: Sequence[str] = ()
        self._fresh_until = float("-inf")

    async def headers(self, owner: str, webhook_id: str, now: int, body: bytes) -> dict[str, str]:  # noqa: ARG002
        """The signature headers of an attempt made `now` (epoch milliseconds). Raises StorageUnavailable."""
        if self._clock.monotonic() >= self._fresh_until:
            self._secrets = await self._store.callback_secrets(self._configured)
            self._fresh_until = self._clock.monotonic() + FRESH_SECONDS
        return signature.headers(webhook_id, now // 1000, body, self._secrets)
