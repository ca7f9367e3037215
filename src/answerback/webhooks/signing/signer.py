"""Signing what is delivered with the secrets of its owner that are live now."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from answerback.kernel import signature
from answerback.kernel.clock import Clock
from answerback.webhooks.signing.secrets import SigningSecrets

FRESH_SECONDS = 5.0
"""How long secrets may sign after they were read: a rotation in another process is noticed within that time."""

MAX_OWNERS = 4096
"""How many owners' secrets are remembered: those that were needed last."""


@dataclass(slots=True)
class _Remembered:
    """One owner's secrets; `lock` is held while they are read, so that many deliveries read them once."""

    keys: tuple[signature.Key, ...] = ()
    rotations: int = 0
    fresh_until: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Signer:
    """Signs for many owners, and remembers their secrets for a moment."""

    def __init__(self, secrets: SigningSecrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()

    async def headers(self, owner: str, webhook_id: str, now: int, body: bytes) -> dict[str, str]:
        """The signature headers of an attempt made `now` (epoch milliseconds) at what `owner` receives, the id of an
        endpoint or else of a tenant. Raises as `SigningSecrets.live`."""
        return signature.headers_by(await self._keys(owner), webhook_id, now // 1000, body)

    async def _keys(self, owner: str) -> tuple[signature.Key, ...]:
        remembered = self._remembered.get(owner)
        if remembered is None:
            remembered = self._remembered[owner] = _Remembered()
            if len(self._remembered) > MAX_OWNERS:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(owner)
        if self._is_fresh(owner, remembered):
            return remembered.keys
        async with remembered.lock:
            if not self._is_fresh(owner, remembered):
                remembered.rotations = self._secrets.rotations(owner)
                remembered.keys = tuple(signature.Key(secret.value) for secret in await self._secrets.live(owner))
                remembered.fresh_until = self._clock.monotonic() + FRESH_SECONDS
        return remembered.keys

    def _is_fresh(self, owner: str, remembered: _Remembered) -> bool:
        rotated = self._secrets.rotations(owner) != remembered.rotations
        return not rotated and self._clock.monotonic() < remembered.fresh_until
