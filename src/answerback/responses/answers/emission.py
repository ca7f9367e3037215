"""A streamed response that emits its events while a job makes it."""

from dataclasses import replace

from answerback.jobs.emitter import emitting
from answerback.jobs.events import JobEvents
from answerback.jobs.kind import Claimed
from answerback.kernel.persistence import persist
from answerback.llm.reply import StreamedReply
from answerback.responses import ids
from answerback.responses.answers.answering import Answering
from answerback.responses.answers.continuation import Continuation
from answerback.responses.answers.events import decoded, encoded, first_events
from answerback.responses.answers.output import Event
from answerback.responses.body import Progress
from answerback.responses.model import SEALED, Asked


async def emitted(events: JobEvents, claim: Claimed[Asked], answering: Answering, reply: StreamedReply) -> Progress:
    """The response once it is whole, and its events are stored: behind those of an earlier run, which it goes on from
    as far as it says the same. Raises ProviderError."""
    # Before the first claim there was no run.
    groups = await persist(lambda: events.all(claim.id)) if claim.epoch > 1 else ()
    continuation = Continuation(ids.response_id(claim.id), decoded(each.data for each in groups))
    sealed = claim.job.args.includes(SEALED)
    first = groups[-1].last + 1 if groups else len(first_events(claim.job.args))
    async with emitting(events, claim, first) as emitter:

        def take(event: Event) -> None:
            for each in continuation.take(event):
                emitter.emit(encoded(each, emitter.next, sealed=sealed))

        at = await answering.read(reply, take)
        for event in continuation.end():
            emitter.emit(encoded(event, emitter.next, sealed=sealed))
    return replace(at, output=continuation.output(at.output))
