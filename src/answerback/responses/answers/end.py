"""The end of a response, by that of the completion that it was made of."""

from collections.abc import Mapping, Sequence

from answerback.kernel.json import Json
from answerback.llm.answers import completions
from answerback.llm.model import FinishReason
from answerback.llm.reply import Reply
from answerback.responses.answers.usage import usage_of
from answerback.responses.body import Progress, Start
from answerback.responses.model import Item

REASONS: Mapping[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete."""


def finish_of(reply: Reply) -> FinishReason:
    """Raises ProviderError for an answer that has not ended."""
    finish = reply.finish_reason
    if finish is None:
        raise completions.invalid("does not say why it ends: it may not be whole")
    return finish


def status_of(finish: FinishReason) -> str:
    return "incomplete" if finish in REASONS else "completed"


def ended(
    start: Start, reply: Reply, finish: FinishReason, output: Sequence[Item], counted: Json, now: int
) -> Progress:
    """The response at its end, which is `now`, in epoch milliseconds. `counted` are the tokens in the upstream's own
    fields."""
    return Progress(
        start.id,
        start.created_at,
        reply.model or start.model,
        status_of(finish),
        output,
        usage_of(reply.usage, counted),
        REASONS.get(finish),
        completed_at=now,
        toolbox=start.toolbox,
    )
