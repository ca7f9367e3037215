"""Fetching the files that reviews refer to, from addresses the guard has judged."""

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header

from answerback.http.client.response import Response
from answerback.http.descriptors import is_shortage
from answerback.kernel.errors import CallbackRefused
from answerback.reviews.files.address_pace import AddressPace
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.reader import SHORTAGE, SHORTAGE_SECONDS
from answerback.reviews.model import MAX_FILE_BYTES, File
from answerback.webhooks.sending.addresses import ForbiddenAddressError
from answerback.webhooks.sending.connections import GuardedClient, as_written, explain
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester

FETCH_SECONDS = 30.0
MAX_REDIRECTS = 3
SPREAD_SECONDS = 30.0
"""Reviews that wait for one server come again one after the other, each finding it free for several files."""

MAX_LENGTH_DIGITS = 18
"""Of a `Content-Length` that is looked at as a number: Python reads none of thousands."""

_NOT_ASCII = re.compile(rb"[^\x20-\x7e]")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})


@dataclass(slots=True, kw_only=True)
class _Visitor(Requester):
    """Pays for its visits by the addresses that they lead to."""

    pace: AddressPace
    addresses: Sequence[str] = ()

    def admit(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses
        if (wait := self.pace.begin(self.tenant_id, addresses)) > 0:
            wait += random.random() * SPREAD_SECONDS
            raise FileError("waits: its server has been asked for many files", retryable=True, wait=wait)

    def received(self, size: int) -> None:
        self.pace.received(self.tenant_id, self.addresses, size)


class FileFetcher:
    """Implements `Fetcher`. A file may take 30 s, redirects included; each of those is judged like the first URL, and
    counts against the tenant's pace at its address. The wait for the tenant's turn to look up a name does not count."""

    def __init__(self, guard: AddressGuard, pace: AddressPace) -> None:
        self._guard = guard
        self._pace = pace
        # The pace sees the addresses of new connections: a kept one may go where its name no longer leads.
        self._client = GuardedClient(guard, keeps=False)

    async def fetch(self, url: str, tenant_id: str) -> File:
        """Raises FileError: retryable for failures of the network or the file's server, final for those of the URL."""
        ends_at = asyncio.get_running_loop().time() + FETCH_SECONDS
        try:
            return await self._follow(url, _Visitor(tenant_id, pace=self._pace), ends_at)
        except FileError:
            raise
        except TimeoutError:
            raise FileError(f"did not come within {FETCH_SECONDS:g} s", retryable=True) from None
        except Exception as error:  # noqa: BLE001 (every one of them becomes a FileError)
            raise _failure(error) from None

    async def close(self) -> None:
        await self._client.close()

    async def _follow(self, url: str, visitor: _Visitor, ends_at: float) -> File:
        for _ in range(MAX_REDIRECTS + 1):
            # A literal address, or a well-known name, is judged here; a name that is looked up, by its connection.
            try:
                self._guard.check_unresolved(url)
            except CallbackRefused as refusal:
                raise FileError(f"cannot be fetched: {refusal.named('its URL').message}") from None
            where = as_written(url)
            response = await self._client.request(visitor, ends_at + visitor.waited, "GET", where, {})
            try:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    return await self._read(response, visitor)
            finally:
                # Of a body that is not wanted the rest may be endless: the connection goes rather than being drained.
                response.close()
            try:
                url = str(where.join(as_written(_in_ascii(location))))
            except ValueError:
                raise FileError("cannot be fetched: its server redirects to something that is not a URL") from None
        raise FileError(f"cannot be fetched: it is redirected more than {MAX_REDIRECTS} times")

    async def _read(self, response: Response, visitor: _Visitor) -> File:
        status = response.status
        if status != 200:
            passing = status >= 500 or status in _PASSING
            raise FileError(f"cannot be fetched: its server answers {status}", retryable=passing)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            # A server that compresses what was requested uncompressed may be hostile.
            raise FileError("comes compressed although it was asked for plain")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > MAX_LENGTH_DIGITS or int(length) > MAX_FILE_BYTES):
            raise _too_large()
        data = bytearray()
        while chunk := await response.read_some():
            data += chunk
            visitor.received(len(chunk))
            if len(data) > MAX_FILE_BYTES:
                raise _too_large()
        return File(bytes(data), *_named(response))


def _named(response: Response) -> tuple[str, str]:
    """What the server says of the file: media type and charset, empty where it says nothing."""
    if "Content-Type" not in response.headers:
        return "", ""
    # Python's own parser takes the square of the header's length.
    said, parameters = parse_options_header(_in_ascii(response.headers["Content-Type"]))
    media_type = said.decode() if said.count(b"/") == 1 else "text/plain"
    return media_type, parameters.get(b"charset", b"").decode()


def _in_ascii(value: str) -> str:
    """A header with its other bytes quoted: a host of 60 kB of ligatures would be encoded for a second."""
    return _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], value.encode("utf-8", "surrogateescape")).decode()


def _too_large() -> FileError:
    return FileError(f"is larger than {MAX_FILE_BYTES} bytes")


def _failure(error: Exception) -> FileError:
    if is_shortage(error):
        return FileError("cannot be fetched now: " + SHORTAGE, retryable=True, wait=SHORTAGE_SECONDS)
    words = explain(error, "its server", "its URL")
    final = isinstance(error, ForbiddenAddressError | ValueError)
    return FileError(f"cannot be fetched: {words}", retryable=not final)
