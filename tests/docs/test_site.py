"""The web site of the documentation has every page, and pages lead to pages that exist."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
START = DOCS / "index.md"
"""The README, as `make docs-site` writes it."""
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page != START]
SITE = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]


def named(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        (content,) = entry.values()
        yield from named(content) if isinstance(content, list) else [content]


def test_the_menu_has_every_page() -> None:
    """Decisions are reached from their index, which `tests/test_architecture.py` checks."""
    expected = {page.relative_to(DOCS).as_posix() for page in PAGES if not re.match(r"\d{4}-", page.name)}

    assert set(named(SITE["nav"])) == expected | {START.name}


def test_nothing_is_fetched_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False
    # A diagram would fetch the library that draws it.
    assert [page for page in PAGES if "```mermaid" in page.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_to_pages(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))

    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "guides" / "console.md"], ids=lambda page: page.name)
def test_every_picture_of_the_console_is_shown(page: Path) -> None:
    shown = re.findall(r"images/(console-\w+\.png)", page.read_text(encoding="utf-8"))

    assert sorted(shown) == sorted(each.name for each in (DOCS / "images").glob("console-*.png"))
