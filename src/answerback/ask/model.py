"""A question that was answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its answer. `at` is when it was answered, epoch milliseconds. `finish_reason` says how the answer
    ends, in OpenAI's words: `length` was cut."""

    question: str
    answer: str
    at: int
    finish_reason: str
