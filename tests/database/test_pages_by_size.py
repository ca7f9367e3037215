"""How many rows make a page: as many as fit, and always one."""

import pytest

from answerback.database import pages
from answerback.database.pages import fitting


@pytest.mark.parametrize(
    ("sizes", "most", "rows"),
    [
        ([], 10, 0),
        ([100], 10, 1),
        ([101], 10, 1),
        ([1_000_000, 1], 10, 1),
        ([50, 50], 10, 2),
        ([50, 51], 10, 1),
        ([0, 0, 0], 2, 2),
        ([10] * 20, 10, 10),
        ([10] * 20, 20, 10),
    ],
)
def test_a_page_has_what_fits(monkeypatch: pytest.MonkeyPatch, sizes: list[int], most: int, rows: int) -> None:
    monkeypatch.setattr(pages, "PAGE_CHARACTERS", 100)

    assert fitting(sizes, most) == rows
