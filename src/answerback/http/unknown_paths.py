"""What a request for a path that is not there, or by a method that is not, could do instead."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from http import HTTPMethod

from starlette.routing import BaseRoute, Route

from answerback.http.head_requests import GET, HEAD

MAX_COMPARED = 64
"""Longer paths are not compared with those that exist: a client chooses how long that takes."""

BASE_URL = "the base URL of an OpenAI client ends in /v1, once"
NOT_OFFERED: Mapping[str, str] = {
    **{name: name for name in ("assistants", "batches", "containers", "engines", "evals", "files", "images")},
    **{name: name for name in ("moderations", "threads", "uploads", "videos")},
    "audio": "speech and transcription",
    "fine_tuning": "fine-tuning",
    "messages": "Anthropic's messages",
    "organization": "OpenAI's administration",
    "realtime": "real-time sessions",
    "vector_stores": "vector stores",
}
"""What clients of this protocol ask for below `/v1`, by the first segment. A route of ours comes first."""
OFFERED = "responses and chat completions are: POST /v1/responses, POST /v1/chat/completions"
OLLAMA: Mapping[str, str] = {
    "/api/chat": "/v1/chat/completions",
    "/api/generate": "/v1/completions",
    "/api/embed": "/v1/embeddings",
    "/api/embeddings": "/v1/embeddings",
    "/api/tags": "/v1/models",
    "/api/show": "/v1/models/{model}",
}
"""Ollama's own paths, and what they are in OpenAI's protocol."""
ELSEWHERE = "'/docs' lists what there is"


class Signposts:
    """Knows all routes, and suggests those that are documented."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = [route for route in routes if isinstance(route, Route)]
        self._paths = list(dict.fromkeys(route.path for route in self._routes if route.include_in_schema))

    def methods(self, path: str) -> list[str]:
        """The methods that the path has; none if it is not there."""
        return list(self._templates(path))

    def unknown_path(self, path: str) -> str:
        """A sentence for a client that asked for a path which is not there."""
        for meant, why in _variants(path):
            if templates := self._templates(meant):
                template = next(iter(templates.values()))
                return f"there is no such path; did you mean {_listed(templates)} {template}? {why}".rstrip()
        first = path.removeprefix("/v1").split("/")[1:2]
        if first and (name := NOT_OFFERED.get(first[0])) is not None:
            return f"{name} are not offered here; {OFFERED}; {ELSEWHERE}"
        near = get_close_matches(path.lower(), self._paths, 1, 0.75) if len(path) <= MAX_COMPARED else []
        if near:
            return f"there is no such path; did you mean {_listed(self.methods(near[0]))} {near[0]}?"
        return f"there is no such path; {ELSEWHERE}"

    def wrong_method(self, method: str, methods: Iterable[str]) -> str:
        """A sentence for a client whose method the path does not have."""
        return f"this path does not take {method}; send {_listed(methods)}"

    def _templates(self, path: str) -> Mapping[str, str]:
        """By method, those of the path's routes. Each is looked at once: anybody may ask for what is not there."""
        found: dict[str, str] = {}
        for route in self._routes:
            if route.path_regex.match(path):
                for method in route.methods or ():
                    found.setdefault(method, route.path)
        if GET in found:
            found[HEAD] = found[GET]
        return {method: found[method] for method in HTTPMethod if method in found}


def _variants(path: str) -> Iterator[tuple[str, str]]:
    """Paths that may have been meant, and why."""
    if path in OLLAMA:
        yield OLLAMA[path], "Ollama's own API is not offered here, but OpenAI's is"
    at = path.rfind("/v1/")
    if at > 0:
        yield path[at:], BASE_URL
    if not path.startswith("/v1/"):
        yield "/v1" + path, BASE_URL
    else:
        yield path.removeprefix("/v1"), "it is not below /v1"
    if path != path.lower():
        yield path.lower(), ""


def _listed(methods: Iterable[str]) -> str:
    return " or ".join(each for each in methods if each != HEAD)
