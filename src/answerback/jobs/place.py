"""Where a claimed job stands in its conversation."""

from typing import Any

from answerback.conversations.model import Place
from answerback.jobs.kind import Claimed


def place_of(claim: Claimed[Any]) -> Place | None:
    """None for a job without a conversation."""
    job = claim.job
    if job.conversation_id is None or job.position is None:
        return None
    return Place(
        tenant_id=job.tenant_id,
        conversation_id=job.conversation_id,
        position=job.position,
        erased_through=claim.erased_through,
        window_from=claim.window_from,
        claim=f"{claim.id}/{claim.epoch}",
    )
