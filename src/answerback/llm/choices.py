"""The choices of one chunk: what they say, and how OpenAI's clients join them."""

from collections.abc import Callable, Mapping, Sequence

from answerback.kernel.json import Json
from answerback.llm import finish_reasons
from answerback.llm.blank_errors import is_error
from answerback.llm.completions import invalid
from answerback.llm.content import text_of
from answerback.llm.failures import NO_HEADERS, error_in_body
from answerback.llm.finish_reasons import Finish, classify, reason_of, word_of
from answerback.llm.model import name

ASSISTANT = "assistant"
"""The role of whatever a model says."""


def checked(choices: Json, now: Callable[[], int]) -> tuple[list[dict[str, Json]], bool]:
    """The choices, and whether they are ordinary: pieces of the first choice, and neither its end nor odd. Raises
    ProviderError where they are none, or one of them is an error."""
    if not isinstance(choices, list):
        raise invalid("holds an event without choices")
    ordinary = True
    for choice in choices:
        if not isinstance(choice, dict):
            raise invalid("holds an event without choices")
        if is_error(choice.get("error")):
            raise error_in_body(choice["error"], NO_HEADERS, now())
        delta = choice.get("delta")
        if not delta or type(delta) is not dict or choice.get("index") != 0 or reason_of(choice) is not None:
            ordinary = False
    return choices, ordinary


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


def calls_tools(said: Json) -> bool:
    """Whether a message, or a piece of one, calls tools."""
    return isinstance(said, dict) and bool(said.get("tool_calls") or said.get("function_call"))


def conforming(choice: dict[str, Json], *, alone: bool, calls: bool) -> dict[str, Json]:
    """A choice of a chunk as clients can join its pieces: the only one has the index 0, there is a delta, and its end
    is said in OpenAI's words. `calls` says whether it has called tools so far."""
    changes = _end(choice, calls)
    if alone and choice.get("index") != 0:
        changes["index"] = 0
    if not isinstance(choice.get("delta"), dict):
        changes["delta"] = {}
    return {**choice, **changes} if changes else choice


def conforming_whole(choice: Json, position: int) -> Json:
    """A choice of a whole completion as clients can read it: it has a number, its message has a role, and its end is
    said in OpenAI's words."""
    if not isinstance(choice, dict):
        return choice
    message = choice.get("message")
    changes = _end(choice, calls_tools(message))
    index = choice.get("index", 0)
    if not isinstance(index, int) or isinstance(index, bool):
        changes["index"] = position
    if isinstance(message, dict) and not message.get("role"):
        changes["message"] = {**message, "role": ASSISTANT}
    return {**choice, **changes} if changes else choice


def _end(choice: Mapping[str, Json], calls: bool) -> dict[str, Json]:
    said = finish_reasons.conforming(reason_of(choice), calls_tools=calls)
    return {} if said == choice.get("finish_reason") else {"finish_reason": said}
