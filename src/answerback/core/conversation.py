"""A conversation's key and its memory."""

from answerback.domain.chat import Memory, messages, window
from answerback.domain.job import Job, Message, Request
from answerback.ports import Store


def key_of(request: Request, callback_url: str) -> str | None:
    """What names the line a message stands in; None for a stateless one, and for what is no message."""
    if not isinstance(request, Message) or request.stateless:
        return None
    return request.session_id if request.session_id is not None else callback_url


async def context(store: Store, memory: Memory, job: Job, request: Message, now: int) -> list[dict[str, str]]:
    """The messages to ask with: system prompt, remembered turns that fit, the new message."""
    fixed = [text for text in (request.system, request.message) if text]
    turns = []
    # The first in line has nothing to remember, which saves the read.
    if job.conversation_id is not None and job.seq != 1 and memory.max_turns > 0:
        recent = await store.recent_turns(job.conversation_id, memory.max_turns)
        turns = window(recent, memory, now, fixed)
    return messages(request.system, turns, request.message)
