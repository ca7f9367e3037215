"""A question that was answered."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its answer. `at` is when it was answered, epoch milliseconds. `finish_reason` says how the answer
    ends, in OpenAI's words: `length` was cut."""

    question: str
    answer: str
    at: int
    finish_reason: str


@dataclass(frozen=True, slots=True)
class QuestionPage:
    """Newest first. Below the id `older` there are more, unless it is None."""

    questions: Sequence[Question]
    older: int | None
