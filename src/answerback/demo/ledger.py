"""What was accepted, what happened to it, and whether the promises were kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from answerback.testing.receiver import Callback


class DemoError(Exception):
    """The demo cannot go on; the message is for its user."""


@dataclass(slots=True)
class Entry:
    """A message that was accepted: what arrived for it, in order, and in the end its record (`GET /v1/jobs/{id}`)."""

    conversation: str
    seq: int
    text: str
    job_id: str
    callbacks: list[Callback] = field(default_factory=list)
    noted: bool = False
    """The service has logged that it delivered the answer."""
    record: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return f"{self.conversation} {self.seq}"

    @property
    def answer(self) -> str | None:
        return body_of(self.callbacks[0]).get("response") if self.callbacks else None

    @property
    def failure(self) -> str | None:
        """Why there is no answer, as the callback says."""
        if not self.callbacks or (body := body_of(self.callbacks[0])).get("status") == "completed":
            return None
        error = body.get("error") or {"code": body.get("status"), "message": "no reason was given"}
        return f"{error['code']}: {error['message']}"

    @property
    def webhook_ids(self) -> set[str | None]:
        return {callback.id for callback in self.callbacks}

    @property
    def repeated(self) -> bool:
        """Whether the same callback came several times, with the same bytes."""
        return len(self.callbacks) > 1 and len({(each.id, each.body) for each in self.callbacks}) == 1

    @property
    def llm_calls(self) -> Sequence[str]:
        """How each call to the LLM ended: `answered`, `retry`, or `lost` with the process that made it."""
        return [attempt["status"] for attempt in self.record["attempts"]] if self.record else []

    @property
    def delivered(self) -> bool:
        return self.record is not None and self.record["delivery"]["status"] == "delivered"

    @property
    def answered_once(self) -> bool:
        one_callback = len(self.callbacks) == 1 or self.repeated
        return one_callback and self.failure is None and self.llm_calls.count("answered") == 1


@dataclass(frozen=True, slots=True)
class Check:
    """A promise and whether it was kept; `text` says which, or what broke it."""

    kept: bool
    text: str


def body_of(callback: Callback) -> dict[str, Any]:
    """The callback's body; empty when it is not a JSON object."""
    try:
        body = callback.json
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


class Ledger:
    """Every accepted message, by job id, and the callbacks in the order of their arrival."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._arrivals: list[Entry] = []
        self.unknown = 0

    @property
    def entries(self) -> Sequence[Entry]:
        """In the order of acceptance."""
        return tuple(self._entries.values())

    def get(self, job_id: object) -> Entry | None:
        return self._entries.get(job_id) if isinstance(job_id, str) else None

    def add(self, entry: Entry) -> None:
        self._entries[entry.job_id] = entry

    def arrived(self, callback: Callback) -> Entry | None:
        """Records a callback; None when it is for no accepted message."""
        entry = self.get(body_of(callback).get("job_id"))
        if entry is None:
            self.unknown += 1
            return None
        if not entry.callbacks:
            self._arrivals.append(entry)
        entry.callbacks.append(callback)
        return entry

    @property
    def failed(self) -> Entry | None:
        return next((entry for entry in self._arrivals if entry.failure is not None), None)

    @property
    def unanswered(self) -> Sequence[Entry]:
        return [entry for entry in self.entries if not entry.callbacks]

    @property
    def undelivered(self) -> Sequence[Entry]:
        """Those that the service has not logged as delivered: queued, at the LLM, or on the way to the receiver."""
        return [entry for entry in self.entries if not entry.noted]

    def order(self, conversation: str) -> Sequence[int]:
        """The positions of a conversation's messages, in the order in which their answers arrived."""
        return [entry.seq for entry in self._arrivals if entry.conversation == conversation]

    def checks(self) -> list[Check]:
        """What is promised of every accepted message."""
        return [self._answered_once(), *self._in_order(), self._signed(), self._delivered()]

    def _answered_once(self) -> Check:
        if self.unknown:
            return Check(kept=False, text=f"callbacks for messages that were never accepted: {self.unknown}")
        wrong = [entry for entry in self.entries if not entry.answered_once]
        count = len(self.entries)
        return _check(wrong, f"{count} messages accepted, {count} answered, each once", "not answered exactly once")

    def _in_order(self) -> Iterable[Check]:
        for conversation in dict.fromkeys(entry.conversation for entry in self.entries):
            arrived = self.order(conversation)
            expected = [entry.seq for entry in self.entries if entry.conversation == conversation]
            kept = list(arrived) == expected == list(range(1, len(expected) + 1))
            how = "in order" if kept else "out of order"
            yield Check(kept, f"{conversation}'s answers arrived {how}: {' '.join(map(str, arrived))}")

    def _signed(self) -> Check:
        wrong = [entry for entry in self.entries if not all(callback.verified for callback in entry.callbacks)]
        count = sum(len(entry.callbacks) for entry in self.entries)
        return _check(wrong, f"{count} callbacks, every signature verified", "a signature does not match")

    def _delivered(self) -> Check:
        wrong = [entry for entry in self.entries if not entry.delivered]
        return _check(wrong, "the service has every callback on record as delivered", "not on record as delivered")


def _check(wrong: Sequence[Entry], good: str, bad: str) -> Check:
    return Check(kept=not wrong, text=f"{bad}: {names(wrong)}" if wrong else good)


def names(entries: Iterable[Entry]) -> str:
    return ", ".join(entry.name for entry in entries)
