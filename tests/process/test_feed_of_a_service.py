"""`GET /v1/feed` of a running service: what happens shows up, each tenant's to itself, and a stop ends it at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from answerback.testing.service import Service

CLIENT, OPERATOR = "client-token-2b7c", "operator-token-6d1f"
SETTINGS = {"MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0", "AUTH_TOKEN": CLIENT, "OPERATOR_TOKEN": OPERATOR}
MESSAGE = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback"}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service(SETTINGS) as started:
        yield started


class Follower:
    """A client of the feed."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def event(self) -> tuple[str, Any]:
        """The next event's name and its data. Comments that keep the connection alive are passed over."""
        while not (line := (await self._response.content.readline()).decode()).startswith("event: "):
            assert line == "\n" or line.startswith(":"), line
        name = line.removeprefix("event: ").strip()
        data = (await self._response.content.readline()).decode().removeprefix("data: ")
        await self._response.content.readline()
        return name, json.loads(data)

    async def until(self, wanted: str, holds: Any) -> Any:
        while True:
            name, data = await self.event()
            if name == wanted and holds(data):
                return data


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_what_happens_is_shown_to_its_tenant_and_to_operators(service: Service) -> None:
    async with aiohttp.ClientSession(service.url) as http:
        made = await http.post("/v1/keys", json={"name": "shop"}, headers=headers(OPERATOR))
        shop = await made.json()
        async with (
            http.get("/v1/feed", headers=headers(CLIENT)) as ours,
            http.get("/v1/feed", headers=headers(shop["key"])) as theirs,
            http.get("/v1/feed", headers=headers(OPERATOR)) as everybodys,
        ):
            assert ours.headers["content-type"] == "text/event-stream"
            following = [Follower(each) for each in (ours, theirs, everybodys)]
            for each in following:
                assert (await each.event())[0] == "overview"
                assert await each.event() == ("jobs", {"items": []})

            sent = await http.post("/webhook", json=MESSAGE, headers=headers(shop["key"]))
            job_id = (await sent.json())["job_id"]

            shown = await following[1].until("jobs", lambda jobs: jobs["items"][0]["status"] == "completed")
            listed = await (await http.get("/v1/jobs", headers=headers(shop["key"]))).json()
            assert [each["job_id"] for each in shown["items"]] == [job_id]
            assert shown["items"][0].keys() == listed["items"][0].keys()
            counted = await following[2].until(
                "overview", lambda seen: sum(each["completed"] for each in seen["minutes"]) == 1
            )
            assert counted["jobs"]["queued"] == 0
            mine = await (await http.get("/v1/overview", headers=headers(CLIENT))).json()
            assert {each["completed"] for each in mine["minutes"]} == {0}


async def test_a_stop_does_not_wait_for_who_follows() -> None:
    async with (
        Service(SETTINGS) as service,
        aiohttp.ClientSession(service.url) as http,
        http.get("/v1/feed", headers=headers(CLIENT)) as response,
    ):
        await Follower(response).event()

        async with asyncio.timeout(4):
            assert await service.terminate() == 0

        rest = await response.read()

    assert b"event: error" not in rest
