"""A response of a job as a stream: its events from any number on, first those that are stored, then the others as
they come. Hanging up stops nothing."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from functools import partial

from starlette.responses import Response

from answerback.http.openai_errors import InvalidParameter
from answerback.http.sse import DONE, EVENT_STREAM, StreamedResponse
from answerback.jobs.events import Emitted, JobEvents
from answerback.jobs.kind import ENDED, JobState
from answerback.jobs.moves import POLL_SECONDS
from answerback.kernel.json import Json
from answerback.kernel.persistence import persist
from answerback.kernel.timed_wait import set_within
from answerback.responses.answers.continuation import partial_output
from answerback.responses.answers.events import behind, decoded, encoded, error_event, first_events
from answerback.responses.answers.output import Event
from answerback.responses.body import response_body
from answerback.responses.stored.rows import KIND, Opened, StoredResponse
from answerback.responses.stored.store import ResponseStore, no_such_response


class StoredStreams:
    """Only what is stored is sent, so that no reader has an event that another one never gets."""

    def __init__(self, store: ResponseStore, events: JobEvents, default_model: str) -> None:
        self._store = store
        self._events = events
        self._default_model = default_model

    def stream(self, tenant_id: str, opened: Opened, after: int = -1) -> Response:
        """The events behind number `after`. Raises InvalidParameter for a response that is not streamed."""
        if not opened.background:
            raise InvalidParameter("stream", "only a background response can be streamed again: leave 'stream' out")
        if not opened.asked.streamed:
            words = "this response was not created with 'stream': true: poll it without 'stream'"
            raise InvalidParameter("stream", words)
        return as_response(self.read(tenant_id, opened, after))

    async def read(self, tenant_id: str, opened: Opened, after: int = -1) -> AsyncGenerator[bytes, None]:
        """The events behind number `after`, through the last one."""
        sent = -1
        with self._events.moves.watching(opened.job_id) as moved:
            while True:
                moved.clear()
                at = max(sent, after)
                seen, ended = await persist(partial(self._store.emitted, tenant_id, opened.id, at))
                if seen is None:
                    # Its retention is over.
                    return
                for last, data in self._pieces(opened, seen, at):
                    if new := behind(at, data, last):
                        yield new
                        sent = at = last
                if seen.more:
                    continue
                if seen.state in ENDED:
                    break
                await set_within(moved, POLL_SECONDS)
        # What was emitted may be deleted by now.
        number = max(sent, seen.last or 0, len(first_events(opened.asked, claimed=seen.claimed)) - 1) + 1
        if after >= number:
            yield DONE
        elif seen.state is JobState.CANCELLED:
            # Also where it was deleted, which cancels it first.
            yield error_event(number, "response_cancelled", "this response was cancelled")
        elif ended is None:
            gone = no_such_response(opened.id)
            yield error_event(number, gone.code, gone.message)
        else:
            yield await self._last(ended, number)

    async def begun(self, tenant_id: str, job_id: str, seconds: float) -> bool | None:
        """Whether a response that is streamed has events, for the first of which this waits: False once it has ended
        without one, None where nothing has happened within these `seconds`."""
        now = asyncio.get_running_loop().time
        until = now() + seconds
        with self._events.moves.watching(job_id) as moved:
            while True:
                moved.clear()
                seen = await persist(partial(self._events.read, tenant_id, KIND, job_id, -1))
                if seen is None or seen.groups or seen.state in ENDED:
                    return seen is not None and bool(seen.groups)
                if now() >= until:
                    return None
                await set_within(moved, min(POLL_SECONDS, max(0.0, until - now())))

    def _pieces(self, opened: Opened, seen: Emitted, at: int) -> Iterator[tuple[int, bytes]]:
        """Events, with the number of the last one."""
        for number, (kind, status) in enumerate(first_events(opened.asked, claimed=seen.claimed)):
            if number > at:
                yield number, self._lifecycle(kind, number, opened.opening(self._default_model, status))
        for group in seen.groups:
            yield group.last, group.data

    async def _last(self, ended: StoredResponse, number: int) -> bytes:
        at = ended.progress(self._default_model)
        if at.status == "failed":
            groups = await persist(lambda: self._events.all(ended.job_id))
            at = replace(at, output=partial_output(decoded(each.data for each in groups)))
        body = response_body(ended.asked, at, stored=ended.asked.stored)
        return self._lifecycle(f"response.{at.status}", number, body) + DONE

    def _lifecycle(self, kind: str, number: int, body: dict[str, Json]) -> bytes:
        event: Event = {"type": kind, "response": body}
        return encoded(event, number, sealed=False)


def as_response(events: AsyncGenerator[bytes, None]) -> Response:
    """Where the service stops, the connection is cut: an event of that would be in no other reader's stream."""
    return StreamedResponse(events, EVENT_STREAM, None)
