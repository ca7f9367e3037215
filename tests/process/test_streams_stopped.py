"""A service that stops ends its open streams with an error event, each in its route's format."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from test_slow_readers import SAID, Silent, endless

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import chunk, sse, upstream

EVENTS = {"Accept": "text/event-stream"}


async def events_of(http: aiohttp.ClientSession, path: str, body: Any, headers: Any = None) -> list[str]:
    async with http.post(path, json=body, headers=headers) as response:
        assert response.status == 200
        return [each for each in (await response.text()).split("\n\n") if each]


async def test_streams_still_open_at_the_end_of_the_grace_period_end_as_broken(tmp_path: Path) -> None:
    async with (
        FakeLLM(default=replies.stream(sse(chunk("half"), done=False), "never")) as llm,
        Service(upstream(llm.base_url), folder=tmp_path) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        llm.on("endless", endless)
        silent = [Silent(service.port, path, SAID) for path in ("/v1/chat/completions",)]
        streams = asyncio.gather(
            events_of(http, "/api/streaming", {"question": "x"}, EVENTS),
            events_of(http, "/generate", {"prompt": "x", "stream": True}),
            events_of(http, "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True}),
            events_of(http, "/api/streaming", {"question": "x"}, EVENTS | {"Idempotency-Key": "once"}),
        )
        text = asyncio.ensure_future(events_of(http, "/api/streaming", {"question": "x"}))
        await llm.wait_for_calls(6)

        began = time.monotonic()
        os.kill(service.pid, signal.SIGTERM)
        *ours, openais, keyed = await streams
        code = await service.exited()
        took = time.monotonic() - began
        for each in silent:
            each.close()

    for stream in (*ours, keyed):
        kind, data = stream[-1].split("\n")
        assert (kind, json.loads(data.removeprefix("data: "))["error"]["code"]) == ("event: error", "stopping")
        assert "done" not in "".join(stream)
    error = json.loads(openais[-1].removeprefix("data: "))["error"]
    assert (error["code"], error["type"]) == ("stopping", "server_error")
    assert "[DONE]" not in "".join(openais)
    with pytest.raises(aiohttp.ClientPayloadError):
        await text
    # Supervisors kill after ten.
    assert (code, took < 10) == (0, True)
    assert "Traceback" not in service.logs
    assert "Exception in ASGI" not in service.logs
