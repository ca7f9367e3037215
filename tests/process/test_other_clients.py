"""What speaks to OpenAI for others, each in its default mode with nothing but the base URL changed: answers, streams
and calls of tools."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from isolated import uvx
from npm import installed

pytestmark = pytest.mark.asyncio(loop_scope="module")

AI_SDK = ("ai@6", "@ai-sdk/openai@3", "zod@4")
SCRIPT = Path(__file__).with_name("ai_sdk_client.mjs")

LANGCHAIN = """
import json, sys
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

url, key = sys.argv[1:]

@tool
def weather(city: str) -> str:
    "The weather of a city."
    return f"It rains in {city}."

for by_responses in (True, False):
    model = ChatOpenAI(model="fake", base_url=url, api_key=key, max_retries=0, use_responses_api=by_responses)
    text = model.invoke("Answer.").text
    streamed = "".join(chunk.text for chunk in model.stream("Stream."))
    offered, said = model.bind_tools([weather]), [HumanMessage("Call.")]
    said.append(offered.invoke(said))
    said += [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in said[-1].tool_calls]
    print(json.dumps({"text": text, "streamed": streamed, "used": offered.invoke(said).text}))
"""

AGENTS = """
import asyncio, json, os, sys
url, key = sys.argv[1:]
os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": key, "OPENAI_AGENTS_DISABLE_TRACING": "1"}
from agents import Agent, Runner, function_tool

@function_tool
def weather(city: str) -> str:
    "The weather of a city."
    return f"It rains in {city}."

async def main():
    plain, offered = Agent(name="a", model="fake"), Agent(name="b", model="fake", tools=[weather])
    text = (await Runner.run(plain, "Answer.")).final_output
    running = Runner.run_streamed(plain, "Stream.")
    raw = [event.data async for event in running.stream_events() if event.type == "raw_response_event"]
    streamed = "".join(event.delta for event in raw if event.type == "response.output_text.delta")
    used = (await Runner.run(offered, "Call.")).final_output
    print(json.dumps({"text": text, "streamed": streamed, "used": used}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"AUTH_TOKEN": "the-key"}


def script(llm: FakeLLM) -> None:
    """Answers two questions, and one by a call and what comes of it."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    llm.then(
        replies.say("An answer."),
        replies.say("A streamed answer."),
        replies.message(None, "tool_calls", tool_calls=[call]),
        replies.say("Take an umbrella."),
    )


def check(llm: FakeLLM, ran: "subprocess.CompletedProcess[str]", times: int = 1) -> None:
    assert ran.returncode == 0, ran.stderr
    said: list[Any] = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert said == [{"text": "An answer.", "streamed": "A streamed answer.", "used": "Take an umbrella."}] * times
    assert llm.calls[-1].messages[-1]["content"] == "It rains in Bern."


async def test_langchain_by_responses_and_by_chat_completions(llm: FakeLLM, service: Service, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LANGCHAIN)
    program = ("--from", "langchain-openai==1.7.4", "python", "program.py")
    for _ in range(2):
        script(llm)

    ran = await asyncio.to_thread(uvx, *program, f"{service.url}/v1", "the-key", cwd=tmp_path)

    check(llm, ran, times=2)


async def test_the_agents_sdk(llm: FakeLLM, service: Service, tmp_path: Path) -> None:
    script(llm)
    (tmp_path / "program.py").write_text(AGENTS)
    program = ("--from", "openai-agents==0.24.0", "python", "program.py")

    ran = await asyncio.to_thread(uvx, *program, f"{service.url}/v1", "the-key", cwd=tmp_path)

    check(llm, ran)


async def test_vercels_ai_sdk(llm: FakeLLM, service: Service, pytestconfig: pytest.Config) -> None:
    script(llm)
    folder = await asyncio.to_thread(installed, pytestconfig, *AI_SDK)
    shutil.copy(SCRIPT, folder)
    command = ("node", SCRIPT.name, f"{service.url}/v1", "the-key")

    ran = await asyncio.to_thread(subprocess.run, command, cwd=folder, capture_output=True, text=True, check=False)

    check(llm, ran)
