"""Requests and results as their job's row holds them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from answerback.http.upstream import STATUSES as OF_FAILURES
from answerback.jobs.kind import ENDED, JobState, Unreadable
from answerback.kernel.errors import AnyFailure, ErrorCode
from answerback.kernel.json import Json, encoded
from answerback.responses import ids
from answerback.responses.body import Progress, error_body, param_of, response_body
from answerback.responses.model import Asked, Item
from answerback.responses.tools.toolbox import Toolbox

KIND = "response"

ERASED = Asked({}, ())
"""What is left of a request once its response is deleted."""

STATUSES: Mapping[JobState, str] = {
    JobState.SCHEDULED: "queued",
    JobState.QUEUED: "queued",
    JobState.HELD: "queued",
    JobState.RUNNING: "in_progress",
    JobState.AWAITING: "in_progress",
    JobState.QUARANTINED: "in_progress",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}


def encode(asked: Asked) -> str:
    fields = {"parameters": asked.parameters, "input": asked.input, "ancestors": asked.ancestors}
    return encoded(fields).decode()


def decode(raw: str) -> Asked:
    """Raises Unreadable."""
    try:
        stored = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    match stored:
        case {"parameters": dict(parameters), "input": list(items), "ancestors": list(ancestors), **others}:
            typed = all(isinstance(each, dict) and isinstance(each.get("type"), str) for each in items)
            if not others and typed and all(isinstance(each, str) for each in ancestors):
                return Asked(parameters, tuple(items), tuple(ancestors))
    raise Unreadable("not the arguments of a response")


def encode_result(at: Progress) -> str:
    return encoded(result_of(at)).decode()


def result_of(at: Progress) -> dict[str, Json]:
    """What a row holds of a response that is whole."""
    fields = {"status": at.status, "reason": at.reason, "model": at.model, "usage": at.usage}
    return {**fields, "output": list(at.output)}


def named(response_id: str, items: Sequence[Item]) -> list[Item]:
    """The items of an input, with the ids that follow from their places."""
    return [{"id": ids.item_id(response_id, item["type"], ids.INPUT, n), **item} for n, item in enumerate(items)]


@dataclass(frozen=True, slots=True)
class TurnPlace:
    """Where a response stands in its conversation: the conversation's row, and the position in it."""

    row_id: int
    position: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A response that was accepted as a job. `created_at` is in epoch milliseconds."""

    id: str
    asked: Asked
    created_at: int

    @property
    def job_id(self) -> str:
        return ids.JOB + self.id.removeprefix(ids.RESPONSE)

    @property
    def background(self) -> bool:
        return self.asked.background

    def opening(self, default_model: str, status: str) -> dict[str, Json]:
        """The response as it was before its answer."""
        toolbox = Toolbox.to_show(self.asked.parameters, self.asked.input)
        at = Progress(self.id, self.created_at, self.asked.model or default_model, status, toolbox=toolbox)
        return response_body(self.asked, at, stored=self.asked.stored)


@dataclass(frozen=True, slots=True)
class StoredResponse(Opened):
    """A response as its tenant may fetch it. `result` is None until it is whole; `finished_at` is in epoch
    milliseconds. `place` is None for one without a conversation."""

    state: JobState
    result: Mapping[str, Json] | None
    failure: AnyFailure | None
    finished_at: int | None
    place: TurnPlace | None = None

    @property
    def failed_as_a_call(self) -> bool:
        """Its caller waited for it, and heard that it failed: to all others there is no such response."""
        return not self.background and self.state in ENDED and self.state is not JobState.COMPLETED

    @property
    def output(self) -> Sequence[Item]:
        return self.result["output"] if self.result is not None else ()

    @property
    def input_items(self) -> list[Item]:
        """With the ids that follow from their places."""
        return named(self.id, self.asked.input)

    def progress(self, default_model: str) -> Progress:
        result = self.result or {}
        # That of a try which is followed by another one is no error of the response.
        failure = self.failure if STATUSES[self.state] == "failed" else None
        return Progress(
            id=self.id,
            created_at=self.created_at,
            model=result.get("model") or self.asked.model or default_model,
            status=result.get("status") or STATUSES[self.state],
            output=self.output,
            usage=result.get("usage"),
            reason=result.get("reason"),
            error=None if failure is None else _error_of(failure),
            completed_at=self.finished_at if self.state is JobState.COMPLETED else None,
            toolbox=Toolbox.to_show(self.asked.parameters, self.asked.input),
        )


def _error_of(failure: AnyFailure) -> dict[str, Json]:
    code = failure.upstream_code or failure.code
    ours = 400 if failure.code == ErrorCode.CONTEXT_GONE else 500
    status = next((status for each, status in OF_FAILURES.items() if each == failure.code), ours)
    param = failure.param if failure.code == ErrorCode.CONTEXT_GONE else param_of(code, failure.param)
    return error_body(status, code, failure.message, param)
