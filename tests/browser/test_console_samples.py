"""The commands and programs that the console shows do what they say: they run as they are copied."""

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence

import pytest
from browsing import Visitor
from storefront import Shop

from eventually import eventually

RUN: Mapping[str, Sequence[str]] = {
    "curl": ("sh", "-c"),
    "Python": (sys.executable, "-c"),
    "Node": ("node", "--input-type=module", "-e"),
}
AWKWARD = 'It\'s "quoted": $HOME `id` \\n \u2028 č'


async def copied(visitor: Visitor, language: str) -> str:
    """What the page gives to the clipboard, with the key that the page does not know."""
    await visitor.role("tab", language).click()
    await visitor.role("button", "Copy", exact=True).click()
    text = str(await visitor.page.evaluate("navigator.clipboard.readText()"))
    return text.replace("YOUR_KEY", str(visitor.key))


async def printed(language: str, program: str) -> str:
    command = RUN[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} is installed")
    run = await asyncio.create_subprocess_exec(*command, program, stdout=PIPE, stderr=PIPE)
    out, err = await run.communicate()
    assert run.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("language", RUN)
async def test_a_message_of_the_relay_runs_as_it_is_copied(visitor: Visitor, running: Shop, language: str) -> None:
    page = await visitor.open("/console/playground?by=webhook")
    await page.locator("#models option[value='openai/gpt-5-mini']").wait_for(state="attached")
    await page.get_by_label("Model", exact=True).fill("openai/gpt-5-mini")
    await page.get_by_label("More parameters").fill('{"seed": 7, "stop": [], "user": null}')
    await page.get_by_label("Message", exact=True).fill(AWKWARD + language)

    out = await printed(language, await copied(visitor, language))

    assert "job_" in out
    await eventually(lambda: running.llm.count(AWKWARD + language) > 0, "the message reaches the model")
    call = next(call for call in running.llm.calls if call.user == AWKWARD + language)
    assert (call.model, call.body["seed"]) == ("openai/gpt-5-mini", 7)


@pytest.mark.parametrize("language", ["curl", "Python"])
async def test_a_chat_runs_as_it_is_copied_whatever_its_parameters(
    visitor: Visitor, running: Shop, language: str
) -> None:
    page = await visitor.open("/console/playground")
    await page.get_by_label("Model", exact=True).fill("openai/gpt-5-mini")
    await page.get_by_label("More parameters").fill('{"top_k": 5, "seed": 7}')
    await page.get_by_label("Message", exact=True).fill(f"Speak {language}.")

    out = await printed(language, await copied(visitor, language))

    assert "colleague" in out
    call = next(call for call in running.llm.calls if call.user == f"Speak {language}.")
    assert (call.model, call.body["top_k"], call.body["seed"]) == ("openai/gpt-5-mini", 5, 7)
