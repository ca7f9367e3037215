"""One callback attempt over HTTP, to an address the guard has judged."""

import asyncio
import io
import ssl
from collections.abc import Callable

import aiohttp

from answerback.kernel.errors import CallbackRefused, SendError
from answerback.kernel.retry import parse_retry_after
from answerback.webhooks.connections import as_written, explain, guarded_session, on_behalf_of
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.outcome import CallbackResponse
from answerback.webhooks.response import BoundedBody

READ_BUFFER = 16 * 1024
LARGE_BODY = 2**20
"""aiohttp writes bytes in one go, and a file in pieces: a larger body is passed as a file."""


class WebhookSender:
    """Implements `Sender`.

    `timeout_seconds` bounds an attempt from the lookup of the name to the last byte of the answer, without the wait for
    the tenant's turn to look it up. `now` is the wall
    clock in epoch milliseconds, for a Retry-After that names a date. `tls` is as for `guarded_session`.
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
        self._session = guarded_session(guard, tls, READ_BUFFER)

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """Posts `body`. Any status is an answer, redirects included: they are not followed.

        Raises SendError, whose text is ours, for a forbidden address, a failed connection, TLS, broken HTTP, or an
        answer that is not complete by the deadline.
        """
        try:
            self._guard.check_form(url)
        except CallbackRefused as error:
            raise SendError(error.message) from None
        answered = False
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                with on_behalf_of(tenant_id, deadline):
                    response = await self._post(url, headers, body)
                answered = True
                async with response:
                    return await self._read(response)
        except TimeoutError:
            missing = "the answer was not complete" if answered else "no answer came"
            raise SendError(f"{missing} within {self._timeout:g} s") from None
        except Exception as error:
            # aiohttp's own texts may quote the URL or the answer; ours may be stored and shown.
            raise SendError(explain(error, "the receiver", "the callback URL")) from error

    async def close(self) -> None:
        await self._session.close()

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> aiohttp.ClientResponse:
        return await self._session.open().post(
            as_written(url),
            data=body if len(body) <= LARGE_BODY else io.BytesIO(body),
            headers={"Content-Type": "application/json", **headers},
            allow_redirects=False,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> CallbackResponse:
        body = BoundedBody(response.headers.get("Content-Encoding"))
        while not body.full:
            chunk = await response.content.readany()
            if not chunk:
                break
            body.feed(chunk)
        else:
            # The rest may be endless: the connection goes rather than being drained.
            response.close()
        wait = parse_retry_after(response.headers.get("Retry-After"), self._now())
        return CallbackResponse(response.status, wait, body.snippet())
