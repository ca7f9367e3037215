"""Reading chat completions: what an upstream's document says, or why it cannot be used."""

from collections.abc import Mapping

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json, has_more_values
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.answers.content import has_media, is_blank, text_of
from answerback.llm.answers.finish_reasons import Finish, check_end, classify, normalised, reason_of
from answerback.llm.answers.odd_json import Mended, decode
from answerback.llm.answers.tool_calls import tool_calls
from answerback.llm.model import Answer, storable

MEDIA = ("audio", "images", "image", "video")
"""Fields of a message that hold what is no text."""

WITHOUT_TEXT = (*MEDIA, "refusal", "reasoning", "reasoning_content", "reasoning_details", "thinking")
"""Fields of a message that make an answer without any text."""

WITHOUT_ANYTHING = frozenset({Finish.CUT, Finish.FILTERED})
"""Ends that show a client of OpenAI's routes why there is nothing."""


MOST_VALUES = 500_000
"""Of one document: the chances of twenty tokens beside each of three thousand."""


def check_withheld(document: Mapping[str, Json]) -> None:
    """Raises ProviderError for a document in place of an answer to a prompt that was blocked: Gemini's
    `promptFeedback`."""
    if document.get("choices"):
        return
    feedback = document.get("promptFeedback") or document.get("prompt_feedback")
    if isinstance(feedback, dict) and (feedback.get("blockReason") or feedback.get("block_reason")):
        raise without_text(Finish.FILTERED)


def check_structure(body: bytes) -> None:
    """Raises ProviderError for a mere value, such as null, in place of a document."""
    if body.strip() == b"null" or isinstance(decode(body), str | int | float):
        raise invalid("is not a JSON object")


def check_values(body: bytes) -> None:
    """Raises ProviderError for JSON of so many values that decoding it would hold up all others."""
    if len(body) > MOST_VALUES and has_more_values(body, MOST_VALUES):
        raise invalid(f"holds more than {MOST_VALUES} values")


def without_nulls(document: dict[str, Json]) -> dict[str, Json]:
    """The document without choices that are null, which stand for nothing."""
    choices = document.get("choices")
    if not isinstance(choices, list) or all(choice is not None for choice in choices):
        return document
    return Mended({**document, "choices": [choice for choice in choices if choice is not None] or None})


def cut_if_incomplete(document: dict[str, Json]) -> dict[str, Json]:
    """The document, where a choice that is shown as done ends as the `incomplete_details` of OpenAI's responses say
    beside it."""
    details, choices = document.get("incomplete_details"), document.get("choices")
    if document.get("status") != "incomplete" or not isinstance(details, dict) or not isinstance(choices, list):
        return document
    own = details.get("reason")
    if classify(own) not in (Finish.CUT, Finish.FILTERED):
        return document
    return Mended({**document, "choices": [_ended(choice, own) for choice in choices]})


def _ended(choice: Json, own: Json) -> Json:
    done = isinstance(choice, dict) and classify(reason_of(choice)) in (Finish.DONE, Finish.TOOLS, Finish.UNKNOWN)
    return {**choice, "finish_reason": own} if done else choice


def check(choice: Mapping[str, Json]) -> None:
    """Raises ProviderError unless the choice is an answer: it says why it ends, and has text, tool calls or one of the
    fields of `WITHOUT_TEXT`, or was ended by a limit or a filter. Tool calls that name no tool are no answer."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise invalid("holds no message")
    finish = check_end(reason_of(choice))
    # Each is looked at, whatever the other says: content beside calls may be none, too.
    calls, spoken = tool_calls(message), says(message)
    if not calls and not spoken and finish not in WITHOUT_ANYTHING:
        raise without_text(finish)


def says(said: Json) -> bool:
    """Whether a message, or a piece of one, holds anything of an answer but calls of tools. Raises ProviderError for
    content that is none."""
    if not isinstance(said, dict):
        return False
    try:
        blank = is_blank(said.get("content"))
    except ValueError:
        raise invalid("holds no text") from None
    return not blank or any(said.get(field) for field in WITHOUT_TEXT)


def answer(choice: Mapping[str, Json], model: str, usage: Usage | None) -> Answer:
    """A choice that `check` has passed. Raises ProviderError if it holds neither text nor tool calls."""
    message = choice["message"]
    text = text_of(message.get("content"))
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str):
        # A refusal comes in a field of its own: asking again would get, and cost, the same.
        text = refusal
    blank, text = is_blank(text), storable(text)
    finish = classify(reason_of(choice))
    calls = tool_calls(message, cut=finish is Finish.CUT)
    if blank and not calls:
        raise other_than_text() if shows_or_sounds(message) else without_text(finish)
    return Answer(
        text=None if blank else text,
        model=model,
        usage=usage,
        finish_reason=normalised(finish, calls_tools=bool(calls)),
        tool_calls=calls,
    )


def shows_or_sounds(message: Mapping[str, Json]) -> bool:
    """Whether a message, or a piece of one, holds an image, a sound or a film."""
    return any(message.get(field) for field in MEDIA) or has_media(message.get("content"))


def other_than_text() -> ProviderError:
    # Asking again would get, and cost, the same.
    words = "the upstream's answer holds no text, but an image or a sound"
    return ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)


def without_text(finish: Finish | None) -> ProviderError:
    """The failure of an answer that ended so without any text."""
    if finish is Finish.FILTERED:
        words = "the upstream's content filter withheld the answer"
        return ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)
    if finish is Finish.CUT:
        # The model used up its tokens before any text, and would again, at the same price.
        words = "the upstream's answer is empty: its tokens were used up first, max_tokens may be too small"
        return ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)
    return empty()


def empty() -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)


def broken_within(broken: ProviderError) -> ProviderError:
    """The failure of a 200 whose body broke once the model was at work: the answer may have been paid for."""
    if broken.failure.code is not ErrorCode.UPSTREAM_UNREACHABLE or not broken.asked:
        return broken
    return ProviderError(ErrorCode.UPSTREAM_INVALID, broken.failure.message, retryable=True)


def invalid(what: str) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_INVALID, f"the upstream's answer {what}", retryable=True)
