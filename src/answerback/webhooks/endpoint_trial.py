"""Trying an endpoint: a sample of an event is signed and sent at once, once, and stored nowhere."""

import json
from collections.abc import Callable, Mapping

from answerback.http.openai_errors import InvalidParameter
from answerback.kernel.ids import new_id
from answerback.kernel.json import Json
from answerback.webhooks.deliver import Sender
from answerback.webhooks.endpoints import Endpoint
from answerback.webhooks.errors import SendError
from answerback.webhooks.notify import envelope
from answerback.webhooks.signer import Signer


class EndpointTrial:
    """`now` is the wall clock in epoch milliseconds."""

    def __init__(self, sender: Sender, signer: Signer, now: Callable[[], int]) -> None:
        self._sender = sender
        self._signer = signer
        self._now = now

    async def send(self, endpoint: Endpoint, event_type: str, sample: Mapping[str, Json]) -> int:
        """The status that the endpoint answers with. Raises InvalidParameter where it does not answer, NotFound where
        it was deleted, StorageUnavailable."""
        now = self._now()
        event_id = new_id("evt_", now)
        body = envelope(event_id, event_type, now, json.dumps(sample, ensure_ascii=False).encode())
        headers = await self._signer.headers(endpoint.id, event_id, now, body)
        try:
            return (await self._sender.send(endpoint.tenant_id, endpoint.url, headers, body)).status
        except SendError as error:
            raise InvalidParameter("url", f"the endpoint did not answer: {error}") from None
