"""The playground: a chat that streams, and the same as code."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from browsing import Browser, Visitor
from playwright.async_api import Route, expect
from storefront import MODEL, OPERATOR, Shop, shop

from answerback.testing import replies


async def test_a_chat_streams_and_remembers_what_was_said(visitor: Visitor, running: Shop) -> None:
    more = asyncio.Event()
    running.llm.on("Name a city.", replies.say("Lisbon, by the Tagus."))
    running.llm.on("And its river?", replies.hang(more, replies.say("The Tagus it is.")))
    page = await visitor.open("/console/playground")
    message = page.get_by_label("Message", exact=True)
    await message.fill("Name a city.")
    await message.press("Enter")
    await visitor.sees("Lisbon, by the Tagus.")
    await visitor.sees("tokens")

    await message.fill("And its river?")
    await visitor.role("button", "Send").click()
    await visitor.role("button", "Stop").wait_for()
    more.set()
    await page.get_by_role("status").filter(has_text="Answer: The Tagus it is.").wait_for()

    asked = next(call for call in running.llm.calls if call.user == "And its river?")
    assert [each["content"] for each in asked.messages] == ["Name a city.", "Lisbon, by the Tagus.", "And its river?"]
    assert await visitor.faults() == []


def chunks(*deltas: Mapping[str, object], finish: str | None = None) -> bytes:
    """Pieces of a streamed answer."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    if finish:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    return b"".join(b"data: %s\n\n" % json.dumps({"id": "x", "choices": [each]}).encode() for each in choices)


async def test_what_has_come_of_an_answer_is_shown_before_its_end(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Say it bit by bit.", replies.stream(chunks({"content": "Once "}, {"content": "upon"}), "never"))
    page = await visitor.open("/console/playground")
    message = page.get_by_label("Message", exact=True)
    await message.fill("Say it bit by bit.")
    await message.press("Enter")

    await page.get_by_text("Once upon", exact=True).wait_for()
    await visitor.role("button", "Stop").click()

    await visitor.sees("Stopped.")
    assert await page.get_by_text("Once upon", exact=True).count() == 1


async def test_thoughts_and_calls_of_tools_are_shown(visitor: Visitor, running: Shop) -> None:
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weigh", "arguments": '{"kg"'}}
    ended = {"index": 0, "function": {"arguments": ": 3}"}}
    deltas = ({"reasoning": "A scale is needed."}, {"tool_calls": [begun]}, {"tool_calls": [ended]})
    body = chunks(*deltas, finish="tool_calls") + b"data: [DONE]\n\n"
    running.llm.on("How heavy is it?", replies.stream(body))
    page = await visitor.open("/console/playground")
    tool = {"type": "function", "function": {"name": "weigh", "parameters": {"type": "object"}}}
    await page.get_by_label("More parameters").fill(json.dumps({"tools": [tool]}))
    message = page.get_by_label("Message", exact=True)
    await message.fill("How heavy is it?")
    await message.press("Enter")

    await visitor.sees("A scale is needed.")
    await visitor.sees("Calls weigh")
    await page.get_by_text('{"kg": 3}', exact=True).wait_for()
    asked = next(call for call in running.llm.calls if call.user == "How heavy is it?")
    assert asked.body["tools"] == [tool]
    assert await visitor.faults() == []


async def test_parameters_that_are_no_json_are_not_sent(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/playground?by=webhook")
    more = page.get_by_label("More parameters")
    await more.fill('{"seed": ')
    message = page.get_by_label("Message", exact=True)
    await message.fill("Is it exact?")

    await message.press("Enter")

    assert await more.evaluate("field => field === document.activeElement && field.validationMessage")
    await more.fill('{"seed": 7}')
    await message.press("Enter")
    await visitor.sees("Signature verified")
    assert next(call for call in running.llm.calls if call.user == "Is it exact?").body["seed"] == 7


@pytest.mark.parametrize(
    ("by", "name"), [("", "messages"), ("", "model"), ("", "stream"), ("webhook", "messages"), ("webhook", "stream")]
)
async def test_parameters_that_the_page_sets_itself_are_refused_at_the_field(
    visitor: Visitor, running: Shop, by: str, name: str
) -> None:
    page = await visitor.open(f"/console/playground?by={by}")
    more = page.get_by_label("More parameters")
    await more.fill(json.dumps({"seed": 7, name: False}))
    message = page.get_by_label("Message", exact=True)
    await message.fill("Which one counts?")

    await message.press("Enter")

    assert await message.input_value() == "Which one counts?"
    said = await more.evaluate("field => field === document.activeElement && field.validationMessage")
    assert said == f'Leave out "{name}": this page sets it.'
    assert f'"{name}": false' not in await page.locator(".code pre").first.inner_text()
    assert not [call for call in running.llm.calls if call.user == "Which one counts?"]


async def test_the_code_of_a_webhook_names_the_inbox_before_anything_is_sent(visitor: Visitor, running: Shop) -> None:
    url = (await running.request("POST", "/v1/inbox", key=visitor.key))["url"]

    page = await visitor.open("/console/playground?by=webhook")

    await page.locator(".code pre").first.get_by_text(url).wait_for()


async def test_settings_reach_the_model_and_the_code(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/playground")
    await page.get_by_label("System prompt").fill("Speak like a pirate.")
    await page.get_by_label("Temperature").fill("0.2")
    await page.get_by_label("Message", exact=True).fill("It's me, hello.")

    command = await page.locator(".code pre").first.inner_text()
    assert f"{running.service.url}/v1/chat/completions" in command
    assert "It'\\''s me" in command
    body = json.loads(command.split("-d '")[1].removesuffix("'").replace("'\\''", "'"))
    assert body["messages"][0] == {"role": "system", "content": "Speak like a pirate."}
    assert (body["temperature"], body["model"]) == (0.2, MODEL)
    await visitor.role("tab", "Python").click()
    program = await page.locator(".code pre").first.inner_text()
    compile(program, "chat.py", "exec")
    await visitor.role("tab", "Node").click()
    assert "client.chat.completions.create" in await page.locator(".code pre").first.inner_text()

    await visitor.role("button", "Send").click()

    await visitor.sees("a colleague will get back to you")
    call = running.llm.calls[-1]
    assert (call.messages[0]["content"], call.body["temperature"]) == ("Speak like a pirate.", 0.2)


async def test_a_refusal_is_shown_and_the_chat_goes_on(visitor: Visitor, running: Shop) -> None:
    visitor.expected.append("400")
    refusal = {"error": {"message": "this is not to be asked", "code": "bad"}}
    running.llm.on("Refuse this.", replies.status(400, refusal))
    page = await visitor.open("/console/playground")
    message = page.get_by_label("Message", exact=True)

    await message.fill("Refuse this.")
    await message.press("Enter")

    await visitor.sees("this is not to be asked")
    await page.locator(".bubble.assistant .bubble-body").wait_for(state="hidden")
    await message.fill("Do you ship to Norway?")
    await message.press("Enter")
    await visitor.sees("three to five days")


async def test_an_answer_can_be_stopped(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Never end.", replies.hang(asyncio.Event()))
    page = await visitor.open("/console/playground")
    await page.get_by_label("Message", exact=True).fill("Never end.")
    await page.get_by_label("Message", exact=True).press("Enter")

    await visitor.role("button", "Stop").click()

    await visitor.sees("Stopped.")


async def test_the_code_says_what_was_sent(visitor: Visitor, running: Shop) -> None:
    for address in ("/console/playground", "/console/playground?by=webhook"):
        page = await visitor.open(address)
        message = page.get_by_label("Message", exact=True)
        await message.fill("Is the kettle BPA-free?")
        await message.press("Enter")
        await visitor.sees("Everything that touches water")

        shown = await page.locator(".code pre").last.inner_text()

        assert await message.input_value() == ""
        assert "Is the kettle BPA-free?" in shown
        assert "touches water" not in shown


@pytest.mark.parametrize("address", ["/console/playground", "/console/playground?by=webhook"])
async def test_what_is_refused_can_be_sent_once_more(visitor: Visitor, running: Shop, address: str) -> None:
    visitor.expected.append("ERR_CONNECTION_REFUSED")
    page = await visitor.open(address)
    paths = "**/{webhook,completions}"
    await page.route(paths, lambda route: route.abort("connectionrefused"))
    message = page.get_by_label("Message", exact=True)
    await message.fill("Do you ship to Norway?")
    await message.press("Enter")
    await visitor.sees("cannot be reached")

    assert await message.input_value() == "Do you ship to Norway?"
    await page.unroute(paths)
    await message.press("Enter")

    await visitor.sees("three to five days")
    assert await message.input_value() == ""


async def test_the_inbox_shows_whatever_came_to_it(visitor: Visitor, running: Shop) -> None:
    url = (await running.request("POST", "/v1/inbox", key=visitor.key))["url"]
    async with running.http.post(url, json={"response": "Posted by nobody knows whom."}) as answer:
        assert answer.ok
    page = await visitor.open("/console/playground?by=webhook")
    inbox = page.locator(".card").filter(has=page.get_by_role("heading", name="Inbox"))
    await inbox.get_by_text("Posted by nobody knows whom.").first.wait_for()
    await inbox.get_by_text("No signature").wait_for()

    body = {"message": "Do you ship to Norway?", "callback_url": url}
    job = (await running.request("POST", "/webhook", body, visitor.key))["job_id"]

    newest = inbox.get_by_role("listitem").first
    await newest.get_by_text("three to five days").first.wait_for()
    await newest.get_by_text("Signature verified").wait_for()
    assert await newest.get_by_role("link", name="Its job").get_attribute("href") == f"/console/jobs/{job}"
    assert await visitor.faults() == []

    await inbox.get_by_role("button", name="Empty it").click()
    await inbox.get_by_text("Nothing has come").wait_for()
    assert (await running.request("GET", "/v1/inbox", key=visitor.key))["items"] == []


async def test_a_long_callback_in_the_inbox_says_that_it_was_cut(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Recite a saga.", replies.say("Saga begins. " + "word " * 20_000))
    page = await visitor.open("/console/playground?by=webhook")
    await page.get_by_label("Message", exact=True).fill("Recite a saga.")
    await page.get_by_label("Message", exact=True).press("Enter")

    came = page.get_by_role("region", name="Messages").get_by_role("listitem").filter(has_text="Signature verified")
    await came.get_by_text("Cut: only the first 64 KiB are kept here.").wait_for()
    assert (await came.locator(".bubble-body").inner_text()).startswith("Saga begins. word word")

    await came.get_by_role("link", name="The whole answer is on the job's page.").click()
    await page.get_by_role("heading", name="Answer", exact=True).wait_for()


@pytest.mark.parametrize("by", ["", "webhook"])
async def test_what_the_form_marks_invalid_is_not_sent(visitor: Visitor, running: Shop, by: str) -> None:
    page = await visitor.open(f"/console/playground?by={by}")
    message = page.get_by_label("Message", exact=True)
    await message.fill("Is it too hot?")
    temperature = page.get_by_label("Temperature")
    await temperature.fill("7")

    await message.press("Enter")

    assert await temperature.evaluate("field => field === document.activeElement && field.validationMessage")
    assert await message.input_value() == "Is it too hot?"
    await temperature.fill("0.25")
    await message.press("Enter")
    await visitor.sees("a colleague will get back to you")
    assert {each.body["temperature"] for each in running.llm.calls if each.user == "Is it too hot?"} == {0.25}


@pytest.mark.parametrize(("by", "name"), [("", "Chat"), ("webhook", "Messages")])
async def test_a_talk_is_one_landmark(visitor: Visitor, by: str, name: str) -> None:
    page = await visitor.open(f"/console/playground?by={by}")

    assert await page.get_by_role("region", name=name, exact=True).count() == 1


async def test_an_answer_that_breaks_off_says_so_in_the_words_of_the_console(browser: Browser) -> None:
    async with shop() as running, browser.visit(running.service.url, OPERATOR) as visitor:
        visitor.expected.append("net::ERR_")
        running.llm.on("Give me half.", replies.stream(chunks({"content": "Once upon"}), "never"))
        page = await visitor.open("/console/playground")
        await page.get_by_label("Message", exact=True).fill("Give me half.")
        await page.keyboard.press("Enter")
        await page.get_by_text("Once upon", exact=True).wait_for()

        await running.service.kill()

        await page.get_by_role("alert").filter(has_text="The connection to the service broke off.").wait_for()


async def test_a_message_that_cannot_be_stopped_offers_no_stop(visitor: Visitor) -> None:
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    page = await visitor.open("/console/playground?by=webhook")
    await page.route("**/webhook", lambda route: held.set_result(route))
    send = visitor.role("button", "Send", exact=True)
    await send.click()
    route = await held

    assert await page.get_by_role("button", name="Stop").count() == 0
    await expect(send).to_be_disabled()
    await route.continue_()

    await expect(send).to_be_enabled()
