"""Trying a receiver: a sample of a callback is signed and sent at once, once, and stored nowhere."""

import json
from collections.abc import Callable, Mapping

from answerback.kernel.errors import InvalidField
from answerback.kernel.ids import new_id
from answerback.kernel.json import Json
from answerback.webhooks.deliver import Sender
from answerback.webhooks.errors import SendError
from answerback.webhooks.signer import Signer


class ReceiverTrial:
    """`now` is the wall clock in epoch milliseconds; `sample` is the body that is sent."""

    def __init__(self, sender: Sender, signer: Signer, now: Callable[[], int], sample: Mapping[str, Json]) -> None:
        self._sender = sender
        self._signer = signer
        self._now = now
        self._body = json.dumps(sample, ensure_ascii=False).encode()

    async def send(self, tenant_id: str, url: str) -> int:
        """The status that the receiver answers with. Raises InvalidField where it does not answer,
        StorageUnavailable."""
        now = self._now()
        headers = await self._signer.headers(tenant_id, new_id("msg_", now), now, self._body)
        try:
            return (await self._sender.send(tenant_id, url, headers, self._body)).status
        except SendError as error:
            raise InvalidField("url", f"the receiver did not answer: {error}") from None
