"""Errors that say that there is none, which some gateways put beside every answer, and errors within choices."""

from collections.abc import Mapping

from answerback.kernel.json import Json
from answerback.llm.answers.odd_json import Mended

_WORDS = frozenset({"", "0", "200", "ok", "success", "succeeded", "none", "null"})


def is_error(error: Json) -> bool:
    """Whether the `error` of a document, or of a choice, says that anything is wrong."""
    match error:
        case dict():
            return any(map(is_error, error.values()))
        case list():
            return any(map(is_error, error))
        case str():
            return error.strip().lower() not in _WORDS
        case bool():
            return error
        case int() | float():
            return error not in (0, 200)
        case _:
            return False


def error_of_choice(choice: Mapping[str, Json]) -> Json:
    """The error in a choice, or in what it says; None where there is none."""
    for held in (choice, choice.get("delta"), choice.get("message")):
        if isinstance(held, dict) and held.get("error") and is_error(held["error"]):
            return held["error"]
    return None


def without_blank_error(document: dict[str, Json]) -> dict[str, Json]:
    """The document, without an `error` beside its choices that says that there is none: OpenAI's clients raise it."""
    if not document.get("error") or "choices" not in document or is_error(document["error"]):
        return document
    return Mended({name: value for name, value in document.items() if name != "error"})
