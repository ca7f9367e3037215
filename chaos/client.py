"""A client that does not give up, with a load balancer in front of the API processes."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import aiohttp

from chaos.ledger import Accepted, Ledger

ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 240.0


class Client:
    """Posts each message to one API process after the other until one answers 202, always under the same key.

    After a refused connection a balancer tries the next server, and so does this client. Any other request without a
    202 has failed: `cut` (connected, no response; by error) or `declined` (by status and error code).
    """

    def __init__(self, api_urls: Sequence[str], ledger: Ledger, callback_url: str) -> None:
        self._api_urls = itertools.cycle(api_urls)
        self._ledger = ledger
        self._callback_url = callback_url
        self._numbers = itertools.count(1)
        self._http: aiohttp.ClientSession | None = None
        self.refused = 0
        self.cut: Counter[str] = Counter()
        self.declined: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()

    @property
    def failed(self) -> int:
        """Requests that a client behind a balancer would have seen fail."""
        return self.cut.total() + self.declined.total()

    async def send(self, text: str, session: str) -> Accepted:
        """Raises TimeoutError when no process takes the message."""
        key = f"{self._ledger.prefix}{next(self._numbers)}"
        message = f"{self._ledger.prefix} {text}"
        named = self._ledger.prefix + session
        body = {"message": message, "callback_url": self._callback_url, "session_id": named}
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (said := await self.post(body, key)) is None:
                pass
        entry = Accepted(said["job_id"], key, said["session_id"], said["seq"], began)
        self._ledger.accept(entry)
        return entry

    async def post(self, body: dict[str, Any], key: str) -> dict[str, Any] | None:
        """Posts one request, to the next process; None without a 202, after a pause."""
        assert self._http is not None
        url = next(self._api_urls) + "/webhook"
        try:
            async with self._http.post(url, json=body, headers={"Idempotency-Key": key}) as response:
                if response.status == 202:
                    said: dict[str, Any] = await response.json()
                    return said
                self.declined[await _reason(response)] += 1
        except aiohttp.ClientConnectorError:
            self.refused += 1
            return None
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self.cut[repr(error)] += 1
        await asyncio.sleep(PAUSE_SECONDS)
        return None


async def _reason(response: aiohttp.ClientResponse) -> str:
    """The status and the error's code, `503 stopping`; the status alone where a body has none."""
    try:
        code = (await response.json())["error"]["code"]
    except (ValueError, LookupError, TypeError, aiohttp.ContentTypeError):
        return str(response.status)
    return f"{response.status} {code}"
