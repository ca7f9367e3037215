"""The tokens of a completion, wherever an upstream counts them: beside the choices, in the first of them, or in Groq's
`x_groq`."""

import re
from collections.abc import Mapping

from answerback.kernel.json import Json
from answerback.kernel.usage import Usage

DETAILS = ("prompt_tokens_details", "completion_tokens_details")

LARGEST_COUNT = 2**63 - 1

_COUNT = re.compile(r"[0-9]{1,19}(\.0*)?")


def usage_of(document: Mapping[str, Json]) -> Usage | None:
    """What a completion, or a chunk of one, counts; None if it counts nothing."""
    if (found := usage(document.get("usage"))) is not None:
        return found
    if isinstance(groq := document.get("x_groq"), dict) and (found := usage(groq.get("usage"))) is not None:
        return found
    choices = document.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return usage(choices[0].get("usage"))
    return None


def usage(value: Json) -> Usage | None:
    """None if a count is missing or not a whole number; a missing total is the sum. Counts may be written as floats
    and as text, and named as in Anthropic's API and OpenAI's responses."""
    if not isinstance(value, dict):
        return None
    prompt = count(value.get("prompt_tokens", value.get("input_tokens")))
    completion = count(value.get("completion_tokens", value.get("output_tokens")))
    if prompt is None or completion is None:
        return None
    total = value.get("total_tokens")
    total = count(prompt + completion if total is None else total)
    return None if total is None else Usage(prompt, completion, total)


def conforming_usage(document: Mapping[str, Json]) -> Json:
    """The document's `usage` as OpenAI's clients read it: itself, or one with the counts in their places; None if there
    are none."""
    given = document.get("usage")
    counts = usage_of(document)
    if counts is None:
        return None
    fields = given if isinstance(given, dict) else {}
    changes: dict[str, Json] = {
        name: getattr(counts, name) for name in Usage.__slots__ if type(fields.get(name)) is not int
    }
    changes |= {
        name: readable
        for name in DETAILS
        if (detail := fields.get(name)) is not None and (readable := _details(detail)) != detail
    }
    return {**fields, **changes} if changes else given


def _details(details: Json) -> Json:
    if not isinstance(details, dict):
        return None
    return {name: count(value) if isinstance(value, float | str) else value for name, value in details.items()}


def count(value: Json) -> int | None:
    """A whole number from 0 to the largest that databases hold."""
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value.partition(".")[0])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LARGEST_COUNT else None
