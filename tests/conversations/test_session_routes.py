"""`GET` and `DELETE /v1/sessions/{key}`."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from conversation_record import Record
from conversation_stories import NOW, answered, asked, called, output
from httpx2 import AsyncClient

from answerback.conversations.routes import router
from answerback.conversations.windows import DatabaseWindows
from answerback.database import pages
from builders import MEMORY
from in_process import AnyKey, calling

AWKWARD = ["plain", "a/b", "a//b/", "what?", "100%", "a%2Fb", "a b+c&d=e#f", "größe 🦜", "line\nbreak", "end\n", "..."]
MOMENT = "2025-06-15T15:06:40.000Z"


@pytest.fixture
async def client(record: Record) -> AsyncIterator[AsyncClient]:
    stores = record.store
    windows, tenant = DatabaseWindows(stores), AnyKey().tenant
    async with calling(router(stores, windows, record.erase_jobs, tenant, MEMORY, lambda: NOW)) as client:  # type: ignore[arg-type]
        yield client


async def test_a_conversation_shows_what_was_said_and_called_oldest_first(record: Record, client: AsyncClient) -> None:
    parts = [{"type": "text", "text": "nice out?"}]
    await record.add(asked(parts), called("c1", "weather", '{"city": "Bern"}'), at=NOW)
    await record.add({"type": "reasoning", "summary": []}, output("c1", "sunny"), answered("Yes."), at=NOW)
    await record.join()

    reply = await client.get("/v1/sessions/s")

    first, second = {"seq": 1, "job_id": "job_1"}, {"seq": 2, "job_id": "job_2"}
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Bern"}'}
    assert reply.json() == {
        "key": "s",
        "pending": 1,
        "remembered_from": 1,
        "messages": [
            first | {"role": "user", "content": parts, "created_at": MOMENT},
            first | call | {"created_at": MOMENT},
            second | {"type": "function_call_output", "call_id": "c1", "output": "sunny", "created_at": MOMENT},
            second | {"role": "assistant", "content": "Yes.", "created_at": MOMENT},
        ],
    }


async def test_long_messages_come_page_by_page(
    record: Record, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_CHARACTERS", 1000)
    for size in (300, 100, 5000, 400, 300, 200):
        await record.add(asked("x" * size))

    shown, following = [], ""
    while True:
        page = (await client.get(f"/v1/sessions/s{following}")).json()
        shown.append([each["seq"] for each in page["messages"]])
        if "next" not in page:
            break
        following = f"?before={page['next']}"

    assert shown == [[5, 6], [4], [3], [1, 2]]


@pytest.mark.parametrize("key", AWKWARD, ids=repr)
async def test_a_conversation_of_any_name_can_be_shown_and_erased(
    record: Record, client: AsyncClient, key: str
) -> None:
    await record.add(asked("a"), key=key)
    path = f"/v1/sessions/{quote(key, safe='')}"

    shown = await client.get(path)
    erased = [await client.delete(path) for _ in range(2)]

    assert (shown.json()["key"], len(shown.json()["messages"])) == (key, 1)
    assert [(reply.status_code, reply.content) for reply in erased] == [(204, b"")] * 2
    assert (await client.get(path)).json()["messages"] == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_conversation_is_not_found(record: Record, client: AsyncClient, method: str) -> None:
    await record.add(asked("a"))

    reply = await client.request(method, "/v1/sessions/nothing")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


async def test_the_document_describes_messages_and_calls(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    assert {"get", "delete"} == document["paths"]["/v1/sessions/{key}"].keys()
    schemas = document["components"]["schemas"].keys()
    assert {"Session", "SessionMessage", "SessionCall", "SessionCallOutput"} <= schemas


async def test_it_says_from_where_on_the_next_message_remembers(record: Record, client: AsyncClient) -> None:
    async def remembered_from() -> int | None:
        shown: int | None = (await client.get("/v1/sessions/s")).json()["remembered_from"]
        return shown

    long_ago = NOW - int(MEMORY.ttl_seconds * 1000) - 1
    await record.add(asked("forgotten"), answered("by now"), at=long_ago)
    assert await remembered_from() is None
    await record.add(asked("new"), answered("and remembered"), at=NOW)
    assert await remembered_from() == 2
    await client.delete("/v1/sessions/s")
    assert await remembered_from() is None
