"""Parameters of a query that a list does not have: one that was misspelt would list everything."""

from itertools import islice

from fastapi import Depends
from starlette.requests import Request

from answerback.http.bodies import MAX_UNKNOWN
from answerback.http.errors import InvalidRequest


async def _known_only(request: Request) -> None:
    # FastAPI gives any other function a thread, which costs more than the list.
    known = [each.alias for each in request.scope["route"].dependant.query_params]
    unknown = islice((name for name in request.query_params if name not in known), MAX_UNKNOWN)
    there_are = f"there are {', '.join(known)}" if known else "there are none"
    errors = [
        {"type": "extra_forbidden", "loc": ["query", name], "msg": f"there is no such parameter; {there_are}"}
        for name in unknown
    ]
    if errors:
        raise InvalidRequest(errors)


KNOWN_QUERIES = [Depends(_known_only)]
"""The `dependencies` of a list's route: a parameter that it does not have is refused, and those that it has named."""
