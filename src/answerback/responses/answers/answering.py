"""One response that a caller waits for, from its first event to its last."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace

from answerback.http.errors import ErrorContent
from answerback.http.sse import DONE
from answerback.kernel.clock import Clock
from answerback.kernel.json import Json
from answerback.llm.reply import StreamedReply
from answerback.responses.answers.answer import Answer
from answerback.responses.answers.end import ended, finish_of
from answerback.responses.answers.events import encoded, first_events
from answerback.responses.answers.output import Event
from answerback.responses.body import Progress, Start, error_body, response_body
from answerback.responses.model import SEALED, Asked

Keep = Callable[[Progress], Awaitable[bool]]
"""Stores a response that is whole; returns whether it can be fetched from now on."""


async def unkept(_: Progress) -> bool:
    """For what is not to be stored."""
    return False


def _unread(_: Event) -> None:
    """For a response that is read when it is whole."""


class Answering:
    """Its events are numbered from 0. `held` counts the characters that came, which the last event repeats."""

    def __init__(self, asked: Asked, start: Start, clock: Clock, keep: Keep = unkept) -> None:
        self._asked = asked
        self._start = start
        self._clock = clock
        self._keep = keep
        self._answer = Answer(start.id, asked, start.toolbox)
        self._at = Progress(start.id, start.created_at, start.model, "in_progress", toolbox=start.toolbox)
        self._sealed = asked.includes(SEALED)
        self._next = 0
        self.held = 0

    async def read(self, reply: StreamedReply, take: Callable[[Event], None] = _unread) -> Progress:
        """The response once it is whole; `take` gets the events of its items meanwhile. Raises ProviderError."""
        async with aclosing(reply):
            async for chunk in reply:
                for event in self._answer.take(chunk):
                    take(event)
        for event in self._end(reply):
            take(event)
        return self._at

    def begin(self) -> bytes:
        """The first events, if they are not sent yet."""
        if self._next:
            return b""
        body = self._body(stored=self._asked.stored)
        return b"".join([self._encoded({"type": kind, "response": body}) for kind, _ in first_events(self._asked)])

    async def events(self, reply: StreamedReply) -> AsyncGenerator[bytes, None]:
        """The response as it comes; stored before its last event is sent. May raise ProviderError."""
        async with aclosing(reply):
            self._at = replace(self._at, model=reply.model or self._at.model)
            if first := self.begin():
                yield first
            async for chunk in reply:
                for event in self._answer.take(chunk):
                    self.held += len(str(event.get("delta", "")))
                    yield self._encoded(event)
        for event in self._end(reply):
            yield self._encoded(event)
        body = await self._kept()
        yield self._encoded({"type": f"response.{body['status']}", "response": body})
        yield DONE

    def failed(self, content: ErrorContent) -> bytes:
        """The last event of a response that broke: with what came, and not stored."""
        error = error_body(content.status, content.code, content.message, content.param)
        self._at = replace(self._at, status="failed", output=self._answer.output, error=error)
        event = {"type": "response.failed", "response": self._body(stored=False)}
        # In one write: what ends with DONE alone is whole.
        return self.begin() + self._encoded(event) + DONE

    def _end(self, reply: StreamedReply) -> Iterable[Event]:
        finish = finish_of(reply)
        yield from self._answer.end(finish)
        answer = self._answer
        self._at = ended(self._start, reply, finish, answer.output, answer.usage, self._clock.now())

    async def _kept(self) -> dict[str, Json]:
        return self._body(stored=self._asked.stored and await self._keep(self._at))

    def _body(self, *, stored: bool) -> dict[str, Json]:
        return response_body(self._asked, self._at, stored=stored)

    def _encoded(self, event: Event) -> bytes:
        number, self._next = self._next, self._next + 1
        return encoded(event, number, sealed=self._sealed)
