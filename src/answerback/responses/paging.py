"""Lists of items as OpenAI pages them: what a request asks for, and the envelope."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from answerback.database.pages import fitting
from answerback.http.openai_errors import InvalidParameter
from answerback.http.responses import JSON
from answerback.kernel.json import Json, encoded
from answerback.responses.model import SEALED, Includable, Item

DEFAULT_PAGE, LARGEST_PAGE = 20, 100
INCLUDABLE: Sequence[str] = get_args(Includable)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """`after` is the id of the item behind which the page begins, None for the first page."""

    after: str | None
    limit: int
    newest_first: bool


def page_query(request: Request) -> PageQuery:
    """Raises InvalidParameter."""
    given = request.query_params
    order = given.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidParameter("order", "'order' must be 'asc' or 'desc'")
    return PageQuery(given.get("after") or None, _limit(given.get("limit")), newest_first=order == "desc")


def page_of(request: Request, items: Sequence[Item]) -> dict[str, Json]:
    """The page of these items, the oldest of which comes first; a shorter one where they are large. Raises
    InvalidParameter."""
    query = page_query(request)
    found = list(reversed(items)) if query.newest_first else list(items)
    if query.after is not None:
        place = next((n for n, item in enumerate(found) if item["id"] == query.after), None)
        if place is None:
            raise InvalidParameter("after", f"this response has no item {query.after[:100]!r}")
        found = found[place + 1 :]
    shown = fitting((len(encoded(item)) for item in found), query.limit)
    return listed(found[:shown], has_more=len(found) > shown)


def listed(page: Sequence[Item], *, has_more: bool) -> dict[str, Json]:
    ends = {"first_id": page[0]["id"] if page else "", "last_id": page[-1]["id"] if page else ""}
    return {"object": "list", "data": page, **ends, "has_more": has_more}


def included(request: Request) -> Sequence[str]:
    """Raises InvalidParameter."""
    query = request.query_params
    asked = [*query.getlist("include[]"), *query.getlist("include")]
    for each in asked:
        if each not in INCLUDABLE:
            raise InvalidParameter("include", f"'include' may hold {', '.join(INCLUDABLE)}; not {each[:100]!r}")
    return asked


def seals(request: Request) -> bool:
    """Whether the request wants to see `encrypted_content`. Raises InvalidParameter."""
    return SEALED in included(request)


def json_response(body: Any) -> Response:
    return Response(encoded(body), media_type=JSON)


def _limit(given: str | None) -> int:
    if not given:
        return DEFAULT_PAGE
    number = given.isascii() and given.isdigit() and len(given) <= len(str(LARGEST_PAGE))
    if not number or not 1 <= int(given) <= LARGEST_PAGE:
        raise InvalidParameter("limit", f"'limit' must be a number from 1 to {LARGEST_PAGE}")
    return int(given)
