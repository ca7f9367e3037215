"""What the end of a response leaves behind: events for those that nobody waits for, items for conversations."""

from typing import Any

import pytest

from answerback.jobs.kind import Ending, Job, JobState
from answerback.kernel.errors import Conflict, ErrorCode, Failure
from answerback.responses.kind import ResponseKind
from answerback.responses.model import Asked
from answerback.responses.stored.rows import ERASED

CONVERSATION = "conv_" + "0" * 32
ASKED = {"type": "message", "role": "user", "status": "completed", "content": []}
SAID = {"id": "msg_1", "type": "message", "role": "assistant", "status": "incomplete", "content": []}


def job(**parameters: Any) -> Job[Asked | None]:
    return Job("job_" + "1" * 32, "tenant", "response", Asked(parameters, (ASKED,)), 7, 3, None, 1)


def whole(status: str) -> Ending:
    return Ending(JobState.COMPLETED, 2, {"status": status, "output": [SAID]})


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_turn_is_its_input_and_its_output_with_their_ids(kind: ResponseKind, status: str) -> None:
    effects = kind.effects(job(conversation=CONVERSATION), whole(status))

    assert effects.items == ({"id": f"msg_{'1' * 32}i0", **ASKED}, SAID)
    assert effects.events == ()


def test_a_background_turn_is_notified_too(kind: ResponseKind) -> None:
    effects = kind.effects(job(conversation=CONVERSATION, background=True), whole("completed"))

    assert len(effects.items) == 2
    assert [event.type for event in effects.events] == ["response.completed"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_what_is_not_answered_adds_nothing(kind: ResponseKind, state: JobState) -> None:
    ending = Ending(state, 2, failure=Failure(ErrorCode.CANCELLED, "x"))

    assert kind.effects(job(conversation=CONVERSATION), ending).items == ()


def test_without_a_conversation_nothing_is_remembered(kind: ResponseKind) -> None:
    assert kind.effects(job(background=True), whole("completed")).items == ()


def test_one_whose_caller_waits_notifies_nobody(kind: ResponseKind) -> None:
    assert kind.effects(job(), whole("completed")).events == ()


async def test_one_that_was_deleted_is_not_tried_again(kind: ResponseKind) -> None:
    with pytest.raises(Conflict, match="deleted"):
        await kind.check(ERASED, "tenant", None)
