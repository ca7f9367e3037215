"""Texts from outside stay texts, whatever is in them."""

import json

from browsing import Browser, Visitor
from storefront import Shop

from answerback.testing import behaviours, replies

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


async def test_an_answer_in_one_word_streams_into_a_page_that_stays_quick(visitor: Visitor, running: Shop) -> None:
    text = f"Here: {WORD} ends."
    chunks = [{"content": text[n : n + 1000]} for n in range(0, len(text), 1000)]
    sent = [{"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in chunks]
    sent.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events = "".join(f"data: {json.dumps(each)}\n\n" for each in sent)
    running.llm.on("Spell a word.", replies.stream(f"{events}data: [DONE]\n\n".encode()))
    page = await visitor.open("/console/playground")
    message = page.get_by_label("Message", exact=True)
    await message.fill("Spell a word.")

    await message.press("Enter")

    await visitor.role("button", "Copy the answer").wait_for()
    assert await page.locator(".said").last.text_content() == text
