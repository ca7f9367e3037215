"""The sources that an answer names, as annotations of its text."""

from collections.abc import Iterator, Mapping

from answerback.kernel.json import Json
from answerback.llm.model import storable
from answerback.responses.model import Item


def citations_in(delta: Mapping[str, Json]) -> Iterator[Item]:
    """Those that are well-formed: one that lacks a field could not be read by OpenAI's SDKs."""
    given = delta.get("annotations")
    for each in given if isinstance(given, list) else ():
        match each:
            case {
                "type": "url_citation",
                "url_citation": {
                    "url": str(url),
                    "title": str(title),
                    "start_index": int(start),
                    "end_index": int(end),
                },
            }:
                cited = {"url": storable(url), "title": storable(title)}
                yield {"type": "url_citation", **cited, "start_index": int(start), "end_index": int(end)}
