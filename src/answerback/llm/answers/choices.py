"""The choices of one chunk: what they say."""

from collections.abc import Callable, Mapping, Sequence

from answerback.kernel.json import Json
from answerback.llm.answers.blank_errors import error_of_choice
from answerback.llm.answers.completions import invalid
from answerback.llm.answers.conforming import is_plain, with_delta
from answerback.llm.answers.content import text_of
from answerback.llm.answers.finish_reasons import Finish, classify, reason_of, word_of
from answerback.llm.errors.failures import error_in_body
from answerback.llm.model import name

MOST_CHOICES = 256
"""Of one chunk: most have one, and OpenAI's at most as many as were asked for, 128."""


def checked(choices: Json, now: Callable[[], int]) -> tuple[list[dict[str, Json]], bool]:
    """The choices, and whether they are ordinary: pieces of the first choice, and neither its end nor odd. Raises
    ProviderError where they are none, or one of them is an error."""
    if not isinstance(choices, list):
        raise invalid("holds an event without choices")
    if len(choices) > MOST_CHOICES:
        raise invalid(f"holds an event of more than {MOST_CHOICES} choices")
    ordinary = True
    for choice in choices:
        if not isinstance(choice, dict):
            raise invalid("holds an event without choices")
        if (error := error_of_choice(choice)) is not None:
            raise error_in_body(error, now())
        delta = choice.get("delta")
        if (
            not delta
            or type(delta) is not dict
            or choice.get("index") != 0
            or reason_of(choice) is not None
            or choice.get("logprobs") is not None
            or not is_plain(delta)
        ):
            ordinary = False
    return choices if ordinary else [with_delta(choice) for choice in choices], ordinary


def text_in(choice: Mapping[str, Json]) -> str:
    """The text as it came: it may begin or end within a character. Raises ProviderError for content that is no text."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return ""
    try:
        text = text_of(delta.get("content"))
    except ValueError:
        raise invalid("holds an event with content that is not text") from None
    refusal = delta.get("refusal")
    # A refusal comes in a field of its own, and is the model's answer.
    return refusal if not text and isinstance(refusal, str) else text


def finish_word(choices: Sequence[Mapping[str, Json]]) -> str | None:
    """The first word that ends a choice."""
    for choice in choices:
        word = word_of(reason_of(choice))
        if word is not None and classify(word) is not Finish.NONE:
            return name(word)
    return None


def as_delta(choice: Mapping[str, Json]) -> dict[str, Json]:
    """A choice of a whole completion as that of a chunk."""
    delta = dict(message) if isinstance(message := choice.get("message"), dict) else {}
    if isinstance(calls := delta.get("tool_calls"), list):
        # Streamed tool calls have an `index`, by which clients join their pieces.
        delta["tool_calls"] = [{"index": n, **call} if isinstance(call, dict) else call for n, call in enumerate(calls)]
    return {name: value for name, value in choice.items() if name != "message"} | {"delta": delta}
