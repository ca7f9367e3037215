"""A question that was answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its whole answer. `at` is when it was answered, epoch milliseconds."""

    question: str
    answer: str
    at: int
