"""The input of a response is paged by its bytes, too."""

from starlette.requests import Request

from answerback.kernel.json import Json, encoded
from answerback.responses.paging import page_of

ITEMS: list[dict[str, Json]] = [{"id": f"msg_{n}", "content": "x" * 300_000} for n in range(20)]


def page(query: str, items: list[dict[str, Json]] = ITEMS) -> dict[str, Json]:
    return page_of(Request({"type": "http", "query_string": query.encode(), "headers": []}), items)


def test_pages_of_large_items_are_short_and_hold_all_of_them() -> None:
    pages = [page("order=asc&limit=100")]
    while pages[-1]["has_more"]:
        pages.append(page(f"order=asc&limit=100&after={pages[-1]['last_id']}"))

    assert [item for each in pages for item in each["data"]] == ITEMS
    assert max(len(encoded(each)) for each in pages) <= 2.5 * 1024 * 1024


def test_an_item_larger_than_a_page_is_a_page() -> None:
    large = {"id": "large", "content": "x" * 3_000_000}
    assert page("order=asc", [large, *ITEMS])["data"] == [large]
