"""A message whose callback goes to the service's own inbox."""

import asyncio

import aiohttp

from answerback.testing.service import Service

SETTINGS = {"MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0"}


async def test_an_answer_arrives_in_the_inbox_signed() -> None:
    async with Service(SETTINGS) as service, aiohttp.ClientSession(service.url) as http:
        url = (await (await http.post("/v1/inbox")).json())["url"]
        message = {"message": "hello", "callback_url": url, "session_id": "s"}
        job_id = (await (await http.post("/webhook", json=message)).json())["job_id"]

        async with asyncio.timeout(20), http.get("/v1/feed") as feed:
            # The feed speaks whenever the job moves on.
            async for line in feed.content:
                if b'"delivered"' in line:
                    break
        (came,) = (await (await http.get("/v1/inbox")).json())["items"]

        assert (came["job_id"], came["signature"]) == (job_id, "verified")
        assert "/inbox/…" not in service.logs  # nothing was sent over HTTP
