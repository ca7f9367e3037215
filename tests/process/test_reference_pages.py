"""`docs/reference/` and `.env.example` hold what the code says. When this fails: `make docs`."""

from pathlib import Path

from answerback.testing import docs

ROOT = Path(__file__).parents[2]


async def test_every_generated_part_is_current_and_has_a_page() -> None:
    document = await docs.api_document()

    pages = docs.pages(ROOT, document)

    assert [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text] == []
    missing = [name for name in docs.tables(document) if f"<!-- {name} -->" not in "".join(pages.values())]
    assert missing == []
