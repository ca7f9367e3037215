"""One callback attempt over HTTP, to an address the guard has judged."""

import asyncio
import ssl
from collections.abc import Callable

from answerback.http.client.errors import HttpError
from answerback.http.client.response import Response
from answerback.http.descriptors import is_shortage
from answerback.kernel.errors import CallbackRefused
from answerback.kernel.waits import asked_in_headers, wait_in_answer
from answerback.webhooks.sending.connections import GuardedClient, as_written, explain
from answerback.webhooks.sending.errors import NotSent, SendError
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester
from answerback.webhooks.sending.outcome import HTTP_BUSY, CallbackResponse
from answerback.webhooks.sending.response import BoundedBody

SHORTAGE = "not sent: this machine had no descriptor, port or memory left for a connection"
BODY_SECONDS = 2.0
"""How long the rest of a response is waited for once its status is known: it counts for the snippet only."""


class WebhookSender:
    """Implements `Sender`.

    `timeout_seconds` bounds an attempt from the lookup of the name to the last byte of the answer, without the wait for
    the tenant's turn to look it up. `now` is the wall clock in epoch milliseconds, for a Retry-After that names a date.
    `tls` is as for `GuardedClient`.
    """

    def __init__(
        self,
        guard: AddressGuard,
        now: Callable[[], int],
        timeout_seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._now = now
        self._timeout = timeout_seconds
        self._client = GuardedClient(guard, tls)

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """Posts `body`. Any status is an answer, redirects included: they are not followed. It counts once its head has
        come whole, whatever is wrong with the body behind it.

        Raises SendError, whose text is ours, for a forbidden address, a failed connection, TLS, broken HTTP, or a
        status that has not come by the deadline.
        """
        try:
            self._guard.check_form(url)
        except CallbackRefused as error:
            raise SendError(error.message) from None
        ends_at = asyncio.get_running_loop().time() + self._timeout
        requester = Requester(tenant_id)
        try:
            where, headers = as_written(url), {"Content-Type": "application/json", **headers}
            response = await self._client.request(requester, ends_at, "POST", where, headers, body)
        except TimeoutError:
            raise SendError(f"no answer came within {self._timeout:g} s", requester.waited) from None
        except Exception as error:
            if is_shortage(error):
                raise NotSent(SHORTAGE) from None
            # Texts of libraries may quote the URL; ours may be stored and shown.
            raise SendError(explain(error, "the receiver", "the callback URL"), requester.waited) from error
        return await self._read(response, ends_at, requester.waited)

    async def close(self) -> None:
        await self._client.close()

    async def _read(self, response: Response, ends_at: float, waited: float) -> CallbackResponse:
        body = BoundedBody(response.headers.get("Content-Encoding"))
        try:
            if response.complete:
                await _fill(body, response)
            else:
                until = asyncio.get_running_loop().time() + BODY_SECONDS
                async with asyncio.timeout_at(min(until, ends_at + waited)):
                    await _fill(body, response)
        except (TimeoutError, HttpError):
            pass  # the status has come
        finally:
            # Of a body that has not ended the rest may be endless: the connection goes rather than being drained.
            response.close()
        snippet = body.snippet()
        return CallbackResponse(response.status, self._wait(response, snippet), snippet, waited)

    def _wait(self, response: Response, snippet: str) -> float | None:
        """How many seconds the receiver asks to be left alone for."""
        asked, wait = response.headers.get("Retry-After"), None
        if asked is not None:
            reset = response.headers.get("X-RateLimit-Reset") or response.headers.get("RateLimit-Reset")
            wait = asked_in_headers(asked, reset, response.headers.get("Date"), self._now())
        if wait is None and response.status in HTTP_BUSY:
            wait = wait_in_answer(snippet, self._now())
        return wait


async def _fill(body: BoundedBody, response: Response) -> None:
    while not body.full and (chunk := await response.read_some()):
        body.feed(chunk)
