"""What open pages of the console ask a service for: recorded from real ones, then asked by clients that draw nothing.

A page in a browser takes CPU of its own, which would slow down the load beside it.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from playwright.sync_api import Page, Request

from answerback.testing.ports import HOST

FEED = "/v1/feed"
COOKIE = "answerback_key"


@dataclass(frozen=True, slots=True)
class Recording:
    """What some pages asked for within `seconds`, besides their feeds, by the keys of their readers."""

    keys: Sequence[str]
    asked: Sequence[tuple[str, str]]
    seconds: float


def record(pages: Sequence[tuple[str, Page]], seconds: float) -> Recording:
    """`pages` are open, each with its reader's key."""
    asked: list[tuple[str, str]] = []
    for key, page in pages:
        page.context.on("request", partial(_note, asked, key))
    pages[0][1].wait_for_timeout(1000 * seconds)
    return Recording([key for key, _ in pages], tuple(asked), seconds)


def _note(asked: list[tuple[str, str]], key: str, request: Request) -> None:
    address = urlsplit(request.url)
    if request.method == "GET" and address.path.startswith("/v1/") and address.path != FEED:
        asked.append((key, f"{address.path}?{address.query}"))


class Readers(AbstractContextManager["Readers"]):
    """A feed for each page of the recording, and its requests at their rate, one after the other; `of` says which comes
    next."""

    def __init__(self, port: int, recording: Recording, of: Iterator[tuple[str, str]]) -> None:
        self._url, self._recording, self._of = f"http://{HOST}:{port}", recording, of
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._read(),), daemon=True)
        self._over = asyncio.Event()

    @staticmethod
    def order(recording: Recording) -> Iterator[tuple[str, str]]:
        return cycle(recording.asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _read(self) -> None:
        async with aiohttp.ClientSession(self._url, connector=aiohttp.TCPConnector(limit=0)) as http:
            tasks = [asyncio.create_task(_follow(http, key)) for key in self._recording.keys]
            tasks.append(asyncio.create_task(self._ask(http)))
            await self._over.wait()
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, http: aiohttp.ClientSession) -> None:
        if not self._recording.asked:
            return
        for key, path in self._of:
            await asyncio.sleep(self._recording.seconds / len(self._recording.asked))
            async with http.get(path, headers=_as_page(key)) as response:
                await response.read()


async def _follow(http: aiohttp.ClientSession, key: str) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    async with http.get(FEED, headers=_as_page(key), timeout=timeout) as response:
        async for _ in response.content.iter_any():
            pass


def _as_page(key: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={key}", "Sec-Fetch-Site": "same-origin"}
