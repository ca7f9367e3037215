"""A sender in a world where every `.test` name is this host, and no other name exists."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.lookup import Requester
from answerback.webhooks.sender import WebhookSender

DEADLINE = 0.4
NOW_MS = 1_750_000_000_000
BODY = '{"response": "grüß dich"}'.encode()


async def resolve(host: str, requester: Requester) -> list[str]:
    if not host.endswith(".test"):
        raise OSError("no such name")
    return ["127.0.0.1"]


@asynccontextmanager
async def sending(timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookSender]:
    sender = WebhookSender(AddressGuard(allow_loopback=True, resolve=resolve), lambda: NOW_MS, timeout, tls)
    try:
        yield sender
    finally:
        await sender.close()
