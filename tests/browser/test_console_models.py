"""Providers and benchmarks."""

from browsing import Visitor
from storefront import MODEL, Shop


async def test_the_providers_and_how_they_are(owner: Visitor, running: Shop) -> None:
    page = await owner.open("/console/models")

    table = page.get_by_role("table", name="Providers")
    await table.get_by_text("127.0.0.1").first.wait_for()
    await table.get_by_text("Healthy").or_(table.get_by_text("Failing")).first.wait_for()
    assert await owner.faults() == []


async def test_models_are_measured_and_compared(visitor: Visitor, running: Shop) -> None:
    page = await visitor.open("/console/models")
    await page.get_by_label("Models", exact=True).fill(f"{MODEL}, openai/gpt-5-mini")
    await page.get_by_label("Prompts").fill("Is the kettle BPA-free?\nDo you ship to Norway?")
    await page.get_by_label("Runs of each").fill("2")
    await visitor.role("button", "Run").click()

    result = page.locator(".measure", has_text="Latency, p50")
    await result.get_by_text("openai/gpt-5-mini").wait_for()
    assert await result.get_by_text(MODEL, exact=True).count() == 1
    assert sum(call.user == "Do you ship to Norway?" and call.model == MODEL for call in running.llm.calls) >= 2
    await visitor.role("button", "Show benchmark").wait_for()
    assert await visitor.faults() == []
