"""Turns of a conversation whose callers wait at a process that does no work: others answer them, in their order."""

import asyncio
from typing import Any

import openai
import pytest
from processes import fleet, settings

from answerback.testing import FakeLLM, Receiver


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_five_requests_at_once_are_five_whole_turns(
    database: str, request: pytest.FixtureRequest, llm: FakeLLM, receiver: Receiver
) -> None:
    chosen = {"database_url": request.getfixturevalue("postgres_url")} if database == "postgres" else {}
    async with (
        fleet(settings(llm, **chosen), receiver, workers=2) as shop,
        openai.AsyncOpenAI(base_url=f"{shop.service.url}/v1", api_key="none", max_retries=0) as client,
    ):
        hello: Any = {"role": "user", "content": "hello"}
        conversation = await client.conversations.create(items=[hello])

        made = await asyncio.gather(
            *(client.responses.create(model="fake", input=f"turn {n}", conversation=conversation.id) for n in range(5))
        )

        items: Any = client.conversations.items.list(conversation.id, order="asc")
        kept = [item.content[0].text async for item in items]
    assert kept[0] == "hello"
    assert dict(zip(kept[1::2], kept[2::2], strict=True)) == {
        f"turn {n}": each.output_text for n, each in enumerate(made)
    }
    # Each has read all before it.
    assert [int(text.split()[-2]) for text in kept[2::2]] == [2, 4, 6, 8, 10]
    assert llm.total == 5
