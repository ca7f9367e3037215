"""Nothing is imported while the service works: an import opens a file, and fails where no descriptor is free."""

import asyncio
import json

import aiohttp
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="function")

PRINTING = {"PYTHONPROFILEIMPORTTIME": "1"}
IMPORT = "import time:"
UNICODE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
ANSWER = json.dumps({"choices": [{"message": {"content": "grün"}, "finish_reason": "stop"}]}, ensure_ascii=False)


async def test_what_the_service_needs_is_imported_before_it_listens() -> None:
    # Given a service whose interpreter prints what it imports
    async with FakeLLM() as llm, Receiver() as receiver, Service(upstream(llm.base_url) | PRINTING) as service:
        started = len(service.logs)
        assert IMPORT in service.logs
        # What FastAPI would import in vain is left out
        assert "pydantic.v1.main" not in service.logs
        # When names are looked up, and texts of all the world come and go
        async with aiohttp.ClientSession(service.url) as http:
            url = receiver.url("/cb").replace("127.0.0.1", "localhost")
            asked = [
                http.post("/webhook", json={"message": "größe 🦜", "callback_url": url}),
                http.post("/api/streaming", json={"question": "größe 🦜?"}),
                http.post("/api/ask", json={"question": 5}),
                http.post("/benchmark", data=prompts()),
                http.get("/metrics"),
            ]
            for response in await asyncio.gather(*asked):
                await response.read()
            # And an LLM answers in any Unicode
            for encoding in UNICODE:
                llm.then(replies.raw(ANSWER.encode(encoding)))
                async with http.post("/generate", json={"prompt": "grün?"}) as response:
                    assert (await response.json())["response"] == "grün"
        await receiver.wait_for(1)
        await service.terminate()
        late = [line.rpartition("|")[2].strip() for line in service.logs[started:].splitlines() if IMPORT in line]

    # Then it has imported all that before it listened
    assert late == []


def prompts() -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("prompt_file", "größe 🦜\n".encode(), filename="prompts.txt")
    form.add_field("runs", "1")
    return form
