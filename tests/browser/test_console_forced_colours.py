"""Where the system chooses the colours, as in high contrast: what is chosen is seen without the page's own."""

import pytest
from browsing import Browser
from storefront import OPERATOR, Shop

IS_SELECTED = """
(each) => {
  const sample = document.createElement("i");
  Object.assign(sample.style, {forcedColorAdjust: "none", backgroundColor: "Highlight", color: "HighlightText"});
  document.body.append(sample);
  const [one, other] = [each, sample].map((part) => getComputedStyle(part));
  return ["forcedColorAdjust", "backgroundColor", "color"].every((name) => one[name] === other[name]);
}
"""


@pytest.mark.parametrize("chosen", [".nav a[aria-current]", ".switch a[aria-current]", ".tabs [aria-selected=true]"])
async def test_what_is_chosen_is_drawn_as_selected(browser: Browser, running: Shop, chosen: str) -> None:
    async with browser.visit(running.service.url, OPERATOR, forced_colors="active") as visitor:
        page = await visitor.open("/console/playground")

        assert await page.locator(chosen).first.evaluate(IS_SELECTED)
