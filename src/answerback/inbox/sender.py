"""Delivering to an inbox without a connection: the service never calls itself."""

from answerback.inbox.inbox import Inbox
from answerback.kernel.errors import StorageUnavailable
from answerback.webhooks.deliver import Sender
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.outcome import CallbackResponse

RECEIVED = '{"received": true}'


class InboxSender:
    """Implements `Sender`: puts what is for an inbox there, and leaves the rest to `sender`."""

    def __init__(self, sender: Sender, inbox: Inbox) -> None:
        self._sender = sender
        self._inbox = inbox

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """As the sender's. An address that is nobody's answers 404, as over HTTP."""
        token = self._inbox.token_in(url)
        if token is None:
            return await self._sender.send(tenant_id, url, headers, body)
        try:
            received = await self._inbox.receive(token, {"Content-Type": "application/json", **headers}, body)
        except StorageUnavailable:
            raise SendError("the inbox cannot take it now: the database is away") from None
        return CallbackResponse(200, None, RECEIVED) if received else CallbackResponse(404, None, "")

    async def close(self) -> None:
        await self._sender.close()
