"""Reading a streamed completion truthfully: it is whole only once a `finish_reason` came, and an error is an error."""

from collections.abc import AsyncGenerator, Callable

from answerback.domain.chat import Chunk
from answerback.domain.errors import ErrorCode, ProviderError
from answerback.providers import completions
from answerback.providers.content import text_of
from answerback.providers.failures import NO_HEADERS, error_in_body, failure
from answerback.providers.sse import EventTooLarge, events
from answerback.providers.transport import OpenResponse

DONE = b"[DONE]"


async def chunks(response: OpenResponse, now: Callable[[], int]) -> AsyncGenerator[Chunk, None]:
    """The chunks of a streamed completion. Raises ProviderError wherever it stops being one."""
    if not _is_stream(response):
        raise _not_a_stream(response, await response.read(), now)
    finished = False
    try:
        async for data in events(response.content):
            if data.strip() == DONE:
                break
            chunk = _chunk(data, now)
            finished = finished or chunk.finish_reason is not None
            yield chunk
    except EventTooLarge:
        raise completions.invalid("holds an event that is too large") from None
    if not finished:
        words = "the upstream's stream broke off before the answer was whole"
        raise ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)


def _is_stream(response: OpenResponse) -> bool:
    kind = response.headers.get("Content-Type", "")
    return 200 <= response.status < 300 and not kind.lower().startswith("application/json")


def _not_a_stream(response: OpenResponse, body: bytes, now: Callable[[], int]) -> ProviderError:
    document = completions.decode(body)
    error = document.get("error") if isinstance(document, dict) else None
    if not 200 <= response.status < 300:
        return failure(response.status, response.headers, error, now())
    if error:
        return error_in_body(error, response.headers, now())
    return completions.invalid("is not a stream")


def _chunk(data: bytes, now: Callable[[], int]) -> Chunk:
    document = completions.decode(data)
    if not isinstance(document, dict):
        raise completions.invalid("holds an event that is not a JSON object")
    if document.get("error"):
        raise error_in_body(document["error"], NO_HEADERS, now())
    choices = document.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise completions.invalid("holds an event without choices")
    text, finish_reason = "", None
    for choice in choices:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise error_in_body(choice.get("error"), NO_HEADERS, now())
        # Further choices (n > 1) are relayed, and the stream is whole when one of them is.
        finish_reason = finish_reason or completions.name(choice.get("finish_reason"))
        if choice.get("index", 0) == 0:
            text += _delta_text(choice.get("delta"))
    return Chunk(data, text, finish_reason, completions.usage(document.get("usage")), bool(choices))


def _delta_text(delta: object) -> str:
    if not isinstance(delta, dict):
        return ""
    try:
        return completions.storable(text_of(delta.get("content")))
    except ValueError:
        raise completions.invalid("holds an event with content that is not text") from None
