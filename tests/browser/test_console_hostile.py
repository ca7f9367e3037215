"""Texts from outside stay texts, whatever is in them."""

import asyncio
import json
from urllib.parse import quote

from browsing import Browser, Visitor
from storefront import Shop

from answerback.testing import behaviours, replies
from answerback.testing.replies import Reply

ACT = "document.title='owned'"
SCRIPT = f"<script>{ACT}</script><img src=x onerror=\"{ACT}\"><a href='javascript:alert(1)'>x</a>"
RTL = "\u202eevil\u202c مرحبا بالعالم \u2066"
LONG = "A long answer. " * 70_000
WORD = "A" * 1_000_000
QUICK_MS = 5000
"""Far more than it takes, so that a busy machine fails no test; it was minutes."""


async def test_markup_in_every_field_is_text(visitor: Visitor, running: Shop) -> None:
    key = visitor.key
    running.llm.on(f"ask {SCRIPT}", replies.status(400, {"error": {"message": SCRIPT, "code": SCRIPT}}))
    running.llm.on(f"hear {SCRIPT}", replies.say(SCRIPT))
    running.receiver.on("/hostile", behaviours.status(500, SCRIPT))
    failed = await running.say(f"ask {SCRIPT}", key=key, session_id=f"{SCRIPT}"[:100], path="/hostile")
    heard = await running.say(f"hear {SCRIPT}", key=key, metadata={SCRIPT: RTL}, system=SCRIPT, path="/hostile")
    await running.receiver.wait_for(lambda came: sum(each.path == "/hostile" for each in came) >= 2, 20)

    for path in ("/console/jobs", f"/console/jobs/{failed}", f"/console/jobs/{heard}"):
        page = await visitor.open(path)
        await page.get_by_text("<script>").first.wait_for(state="attached")
        assert await page.locator("main script, main img, main a[href^='javascript']").count() == 0
        assert "owned" not in await page.title()
    assert await visitor.faults() == []


async def test_markup_is_text_on_every_page(browser: Browser, running: Shop) -> None:
    """Whatever names, messages, errors and answers hold: those of the tenant, of the LLM and of a receiver."""
    name = "<script>owned()</script>"
    key = await running.new_key(name, operator=True)
    tenant = (await running.request("GET", "/v1/session", key=key))["tenant"]
    running.llm.on(f"say {SCRIPT}", replies.say(SCRIPT))
    running.receiver.on("/hostile-to-all", behaviours.status(410, SCRIPT))
    job = await running.say(f"say {SCRIPT}", key=key, session_id=name, path="/hostile-to-all")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    asked = {"input": SCRIPT, "instructions": SCRIPT, "metadata": {"note": SCRIPT}}
    response = (await running.request("POST", "/v1/responses", asked, key))["id"]
    endpoint = {"name": name, "url": running.receiver.url("/hostile?<script>"), "event_types": ["message.failed"]}
    await running.request("POST", "/v1/webhook_endpoints", endpoint, key)
    inbox = (await running.request("POST", "/v1/inbox", key=key))["url"]
    async with running.http.post(inbox, json={"response": SCRIPT}) as answer:
        assert answer.ok

    async with browser.visit(running.service.url, key) as visitor:
        for path in (
            "/console",
            f"/console/jobs?tenant={tenant}",
            f"/console/jobs/{job}",
            f"/console/conversations?tenant={tenant}",
            f"/console/conversation?session={quote(name)}&tenant={tenant}",
            f"/console/receivers?tenant={tenant}",
            "/console/playground?by=webhook",
            f"/console/responses/{response}",
            "/console/keys",
        ):
            page = await visitor.open(path)
            await page.locator("main").get_by_text("<script>").first.wait_for(state="attached")
            assert await page.locator("main script, main img, main a[href^='javascript']").count() == 0, path
            assert "owned" not in await page.title(), path


async def test_markup_in_a_chat_and_in_the_names_of_models_is_text(visitor: Visitor, running: Shop) -> None:
    running.llm.on(f"sing {SCRIPT}", replies.say(SCRIPT))
    page = await visitor.open("/console/playground")
    await page.get_by_label("Message", exact=True).fill(f"sing {SCRIPT}")
    await page.keyboard.press("Enter")
    await page.locator(".bubble.assistant").get_by_text(SCRIPT, exact=True).wait_for()
    await visitor.role("button", "Copy the answer").wait_for()
    assert await page.locator("main script, main img, main a[href^='javascript']").count() == 0

    names = {"name": SCRIPT, "models": [SCRIPT], "last_error": SCRIPT, "reachable": False, "error": SCRIPT}
    providers = await running.request("GET", "/v1/providers", key=visitor.key)
    hostile = {"items": [{**providers["items"][0], **names}], "routes": []}
    await page.route("**/v1/providers", lambda route: route.fulfill(json=hostile))
    await page.route("**/v1/models", lambda route: route.fulfill(json={"data": [{"id": SCRIPT}]}))
    await visitor.open("/console/models")
    await page.get_by_role("table", name="Providers").get_by_text(SCRIPT, exact=True).first.wait_for()
    assert await page.locator("main script, main img, main a[href^='javascript']").count() == 0
    assert "owned" not in await page.title()


async def test_a_script_within_a_page_does_not_run_and_would_fail_a_test(visitor: Visitor) -> None:
    page = await visitor.open("/console")

    for markup in (f"<script>{ACT}</script>", f'<img src=data:, onerror="{ACT}">'):
        add = "markup => document.body.append(document.createRange().createContextualFragment(markup))"
        async with page.expect_console_message(lambda message: message.type == "error"):
            await page.evaluate(add, markup)

    assert "owned" not in await page.title()
    assert len(visitor.troubles) == 2
    assert all("Content Security Policy" in each for each in visitor.troubles)
    visitor.expected.append("Content Security Policy")


async def test_a_megabyte_in_a_conversation_and_in_a_response_is_shown_bit_by_bit(
    visitor: Visitor, running: Shop
) -> None:
    running.llm.on("Write it all.", replies.say(LONG))
    job = await running.say("Write it all.", key=visitor.key, session_id="library")
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    response = (await running.request("POST", "/v1/responses", {"input": "Write it all."}, visitor.key))["id"]

    for path in ("/console/conversation?session=library", f"/console/responses/{response}"):
        page = await visitor.open(path)

        await visitor.role("button", "Show all").wait_for()
        assert len(await page.content()) < 100_000, path
        await visitor.role("button", "Show all").click()
        assert len(await page.locator(".said").last.inner_text()) > 1_000_000, path


async def test_a_megabyte_is_shown_bit_by_bit_and_keeps_the_page_quick(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Write a book.", replies.say(LONG))
    job = await running.say("Write a book.", key=visitor.key)
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)

    page = await visitor.open(f"/console/jobs/{job}")

    await visitor.role("button", "Show all").wait_for()
    assert len(await page.content()) < 100_000
    await visitor.role("button", "Show all").click()
    assert len(await page.locator(".said").last.inner_text()) > 1_000_000
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_text_from_right_to_left_turns_nothing_around_it(visitor: Visitor, running: Shop) -> None:
    job = await running.say("hello", key=visitor.key, session_id=RTL)

    page = await visitor.open("/console/jobs")

    cell = page.locator(f"tr[data-key='{job}'] bdi").first
    await cell.wait_for()
    assert json.loads(await cell.evaluate("each => JSON.stringify(each.textContent)")) == RTL
    assert await cell.evaluate("each => getComputedStyle(each).unicodeBidi") == "isolate"


async def test_long_names_widen_no_page(browser: Browser, running: Shop) -> None:
    name = "conversation" * 10
    key = await running.new_key("a key with rather many words, which nobody cut")
    job = await running.say("hello", key=key, session_id=name, path="/" + "x" * 300)
    phone = {"viewport": {"width": 390, "height": 844}}
    async with browser.visit(running.service.url, key, **phone) as visitor:
        for path, seen in (
            ("/console", name),
            ("/console/jobs", name),
            (f"/console/jobs/{job}", name),
            ("/console/conversations", name),
            (f"/console/conversation?session={name}", "hello"),
            ("/console/receivers", "127.0.0.1"),
        ):
            page = await visitor.open(path)
            await page.get_by_text(seen).first.wait_for(state="attached")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


async def test_a_megabyte_in_one_word_keeps_the_page_quick(visitor: Visitor, running: Shop) -> None:
    running.llm.on("Write a word.", replies.say(WORD))
    job = await running.say("Write a word.", key=visitor.key)
    await running.receiver.wait_for(lambda came: any(job.encode() in each.body for each in came), 20)
    page = await visitor.open(f"/console/jobs/{job}")
    button = visitor.role("button", "Show all")
    await button.wait_for()

    took = await button.evaluate("""(button) => {
        const began = performance.now();
        button.click();
        document.body.getBoundingClientRect();
        return performance.now() - began;
    }""")

    assert took < QUICK_MS
    copied = await page.locator(".said").last.evaluate("""(said) => {
        getSelection().selectAllChildren(said);
        return String(getSelection());
    }""")
    assert copied == WORD


def streamed(text: str) -> Reply:
    """An answer that comes in pieces of a thousand characters."""
    chunks = [{"content": text[n : n + 1000]} for n in range(0, len(text), 1000)]
    sent = [{"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in chunks]
    sent.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events = "".join(f"data: {json.dumps(each)}\n\n" for each in sent)
    return replies.stream(f"{events}data: [DONE]\n\n".encode())


async def test_an_answer_in_one_word_streams_into_a_page_that_stays_quick(visitor: Visitor, running: Shop) -> None:
    text = f"Here: {WORD} ends."
    running.llm.on("Spell a word.", streamed(text))
    page = await visitor.open("/console/playground")
    message = page.get_by_label("Message", exact=True)
    await message.fill("Spell a word.")

    await message.press("Enter")

    await visitor.role("button", "Copy the answer").wait_for()
    assert await page.locator(".said").last.text_content() == text


async def test_the_events_of_a_megabyte_leave_a_page_quick(visitor: Visitor, running: Shop) -> None:
    ready = asyncio.Event()
    text = f"Here: {WORD} ends."
    running.llm.on("Spell it slowly.", replies.hang(ready, streamed(text)))
    body = {"input": "Spell it slowly.", "background": True, "stream": True}
    headers = {"Authorization": f"Bearer {visitor.key}"}
    async with running.http.post(f"{running.service.url}/v1/responses", json=body, headers=headers) as stream:
        line = await anext(aiter(stream.content.iter_any()))
        made = line.decode().split('"id":"')[1].split('"')[0]
        page = await visitor.open(f"/console/responses/{made}")
        await page.locator(".events").get_by_text("response.created").wait_for()

        ready.set()

        await page.locator(".events").get_by_text("response.completed").wait_for()
        await page.locator(".events").get_by_text("earlier events not shown").wait_for()
        assert await page.locator(".events li").count() <= 201
