"""Trying an endpoint or a receiver: a sample is signed and sent at once, once, and stored nowhere."""

import json
from collections.abc import Callable, Mapping

from answerback.http.openai_errors import InvalidParameter
from answerback.kernel.errors import InvalidField
from answerback.kernel.ids import new_id
from answerback.kernel.json import Json
from answerback.webhooks.deliver import AnswersAgain, Sender
from answerback.webhooks.endpoints.operations import Endpoint
from answerback.webhooks.model import origin_of
from answerback.webhooks.notify import envelope
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.signing.signer import Signer


class Trial:
    """`now` is the wall clock in epoch milliseconds. Both return the status that is answered."""

    def __init__(self, sender: Sender, signer: Signer, now: Callable[[], int], again: AnswersAgain) -> None:
        self._sender = sender
        self._signer = signer
        self._now = now
        self._answers_again = again

    async def event(self, endpoint: Endpoint, event_type: str, sample: Mapping[str, Json]) -> int:
        """Raises InvalidParameter where the endpoint does not answer, NotFound where it was deleted,
        StorageUnavailable."""
        now = self._now()
        event_id = new_id("evt_", now)
        body = envelope(event_id, event_type, now, _encoded(sample))
        headers = await self._signer.headers(endpoint.id, event_id, now, body)
        try:
            return await self._send(endpoint.tenant_id, endpoint.url, headers, body)
        except SendError as error:
            raise InvalidParameter("url", f"the endpoint did not answer: {error}") from None

    async def callback(self, tenant_id: str, url: str, sample: Mapping[str, Json]) -> int:
        """Raises InvalidField where the receiver does not answer, StorageUnavailable."""
        now, body = self._now(), _encoded(sample)
        headers = await self._signer.headers(tenant_id, new_id("msg_", now), now, body)
        try:
            return await self._send(tenant_id, url, headers, body)
        except SendError as error:
            raise InvalidField("url", f"the receiver did not answer: {error}") from None

    async def _send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> int:
        response = await self._sender.send(tenant_id, url, headers, body)
        self._answers_again(tenant_id, origin_of(url))
        return response.status


def _encoded(sample: Mapping[str, Json]) -> bytes:
    return json.dumps(sample, ensure_ascii=False).encode()
