"""How a body is framed: as server-sent events, or as a document. Its first bytes say so, not its Content-Type."""

import re
from codecs import BOM_UTF8

from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import completions
from answerback.llm.transport import MAX_RESPONSE_BYTES, OpenResponse

EVENT_STREAM = "text/event-stream"

_FIELD = re.compile(rb"(data|event|id|retry)?:|(data|event|id|retry)[\r\n]")
_ENOUGH = 7
"""How many bytes distinguish a field of an event from anything else."""


async def is_event_stream(response: OpenResponse) -> bool:
    """Whether the body holds server-sent events. JSON begins like no event; what begins like neither is what its
    Content-Type says. What was looked at is read again, but for a byte order mark and blanks. Raises ProviderError."""
    head, size = b"", 0
    while received := await _more(response):
        size += len(received)
        if size > MAX_RESPONSE_BYTES:
            raise completions.invalid(f"exceeds {MAX_RESPONSE_BYTES} bytes")
        head = head + received
        if not BOM_UTF8.startswith(head):
            head = head.removeprefix(BOM_UTF8).lstrip()
        if not _undecided(head):
            break
    response.unread(head)
    if head.startswith((b"{", b"[")):
        return False
    return bool(_FIELD.match(head)) or _named_stream(response)


async def _more(response: OpenResponse) -> bytes:
    try:
        return await response.read_some()
    except ProviderError as error:
        # The head of a stream comes before the model is at work, that of a document after it.
        raise error if _named_stream(response) else completions.broken_within(error) from None


def _named_stream(response: OpenResponse) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith(EVENT_STREAM)


def _undecided(head: bytes) -> bool:
    return len(head) < _ENOUGH and not head.startswith((b"{", b"[")) and b"\n" not in head and b"\r" not in head
