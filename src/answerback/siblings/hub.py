"""What a supervisor does for its processes: it passes on what concerns all, counts requests, and gathers figures."""

from collections.abc import Callable
from dataclasses import dataclass

from answerback.kernel.rate import Rate, Standing
from answerback.observability.summing import Figures, counts, summed
from answerback.siblings.messages import Message, encode

REPORT_SECONDS = 1.0
"""How long a process is waited for that was asked for its figures; then those it sent before count."""

Count = Callable[[str, Rate, int], Standing]
"""Counts so many requests of a caller, if the rate admits them all."""


@dataclass(slots=True)
class _Sum:
    """A process that waits for the figures of the others."""

    asker: int
    ticket: int
    due: float
    awaited: set[int]


class Hub:
    """Knows processes by number. Each method returns at once; a process gets its messages by the `send` it joined with.

    What a process counted survives it, as far as a page of metrics has shown it: no counter ever goes back.
    """

    def __init__(self, count: Count, monotonic: Callable[[], float]) -> None:
        self._count = count
        self._monotonic = monotonic
        self._sends: dict[int, Callable[[bytes], None]] = {}
        self._figures: dict[int, Figures] = {}
        self._ended: Figures = []
        self._sums: list[_Sum] = []

    def join(self, number: int, send: Callable[[bytes], None]) -> None:
        self._sends[number] = send

    def leave(self, number: int) -> None:
        self._sends.pop(number, None)
        if number in self._figures:
            self._ended = summed([self._ended, counts(self._figures.pop(number))])
        self._sums = [each for each in self._sums if each.asker != number]
        self._reported(number)

    def received(self, number: int, message: Message) -> None:
        """Raises ValueError for a message that it does not know."""
        match message:
            case ["wake" | "cancelled", str()]:
                self._to_others(number, encode(*message))
            case ["hit", int(ticket), str(caller), int(amount), int(seconds), int(count)]:
                standing = self._count(caller, Rate(amount, seconds), count)
                answer = encode("answer", ticket, standing.admitted, standing.remaining, standing.seconds)
                self._sends[number](answer)
            case ["sum", int(ticket), list(figures)]:
                self._figures[number] = figures
                waiting = _Sum(number, ticket, self._monotonic() + REPORT_SECONDS, self._sends.keys() - {number})
                self._sums.append(waiting)
                self._to_others(number, encode("report"))
                self._answer_sums()
            case ["figures", list(figures)]:
                self._figures[number] = figures
                self._reported(number)
            case _:
                raise ValueError(f"unknown message {message[:1]}")

    @property
    def due(self) -> float | None:
        """When `expire` is to be called, by the monotonic clock."""
        return min((each.due for each in self._sums), default=None)

    def expire(self) -> None:
        """Answers those that have waited long enough for a process that does not report."""
        if self._sums:
            self._answer_sums(self._monotonic())

    def _to_others(self, number: int, message: bytes) -> None:
        for other, send in self._sends.items():
            if other != number:
                send(message)

    def _reported(self, number: int) -> None:
        for each in self._sums:
            each.awaited.discard(number)
        self._answer_sums()

    def _answer_sums(self, now: float = float("-inf")) -> None:
        answered = [each for each in self._sums if not each.awaited or each.due <= now]
        self._sums = [each for each in self._sums if each.awaited and each.due > now]
        for each in answered:
            others = [figures for number, figures in self._figures.items() if number != each.asker]
            self._sends[each.asker](encode("answer", each.ticket, self._ended, *others))
