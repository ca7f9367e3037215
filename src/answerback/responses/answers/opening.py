"""Asking for a response as a chat completion, until the model takes what it is to read."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.errors.failures import CONTEXT_CODE
from answerback.llm.reply import Reply
from answerback.responses.answers.chat_body import chat_body
from answerback.responses.items.history import without_oldest
from answerback.responses.model import Asked, Item
from answerback.responses.tools.toolbox import Toolbox

R = TypeVar("R", bound=Reply)


class Opening:
    """A request that may be asked for. `left_out` are fields of its body that the model turned out not to take. Raises
    UnansweredCall, InvalidParameter."""

    def __init__(self, asked: Asked, items: Sequence[Item], toolbox: Toolbox) -> None:
        self._asked = asked
        self._items = items
        self._toolbox = toolbox
        self._body = chat_body(asked, items, toolbox)
        self.left_out: frozenset[str] = frozenset()

    async def reply(self, send: Callable[[Mapping[str, Json]], Awaitable[R]]) -> R:
        """What `send` gets for a body of chat completions. Where the request allows it, the oldest turns are left out
        until the model takes the rest. Raises ProviderError."""
        while True:
            try:
                reply = await send(self._body)
            except ProviderError as error:
                if not self._shorten(error):
                    raise
            else:
                self.left_out = reply.left_out
                return reply

    def _shorten(self, error: ProviderError) -> bool:
        if error.failure.upstream_code != CONTEXT_CODE or not self._asked.shortened:
            return False
        shorter = without_oldest(self._items)
        if shorter is None:
            return False
        self._items, self._body = shorter, chat_body(self._asked, shorter, self._toolbox)
        return True
