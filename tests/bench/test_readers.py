"""Clients that stand for open pages: a feed each, and what was recorded at its rate."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web

from answerback.testing.ports import HOST
from bench.readers import COOKIE, FEED, Readers, Recording
from bench.tools import until


class Service:
    """Remembers who asks for what; its feeds do not end."""

    def __init__(self) -> None:
        self.port = 0
        self.feeds: list[str] = []
        self.asked: list[tuple[str, str]] = []

    async def serve(self, ready: threading.Event, over: asyncio.Event) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        self.port = runner.addresses[0][1]
        ready.set()
        await over.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Sec-Fetch-Site"] == "same-origin"
        if request.path != FEED:
            self.asked.append((request.cookies[COOKIE], request.path_qs))
            return web.Response()
        self.feeds.append(request.cookies[COOKIE])
        feed = web.StreamResponse()
        await feed.prepare(request)
        await asyncio.Event().wait()
        return feed


@pytest.fixture
def service() -> Iterator[Service]:
    service, loop, ready, over = Service(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(service.serve(ready, over),))
    thread.start()
    ready.wait()
    yield service
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


def test_each_page_has_a_feed_and_what_was_recorded_is_asked_again_and_again(service: Service) -> None:
    recording = Recording(["one", "other"], (("one", "/v1/jobs?limit=50"), ("other", "/v1/providers")), seconds=0.02)

    with Readers(service.port, recording, Readers.order(recording)):
        until(lambda: len(service.feeds) == 2 and len(service.asked) >= 4, 20, "the readers")

    assert sorted(service.feeds) == ["one", "other"]
    assert service.asked[:4] == [*recording.asked, *recording.asked]
