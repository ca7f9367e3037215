"""What core asks of the world. Adapters implement these; `answerback.bootstrap` chooses them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

from answerback.jobs.model import ClaimedJob, Ending
from answerback.jobs.storage_protocol import ApiKey, Claims, Depth, Limits, Recalled, Render, Store, Swept
from answerback.kernel.rate import Rate, Standing
from answerback.llm.model import Answer, ChatRequest, Chunk, Model, Relayed, Turn
from answerback.reviews.model import File, Review
from answerback.webhooks.model import CallbackResponse, OriginLine

__all__ = [
    "ApiKey",
    "Claims",
    "Clock",
    "Depth",
    "Failpoint",
    "Fetcher",
    "Guard",
    "Limits",
    "Log",
    "Notifier",
    "OnFailpoint",
    "Origins",
    "Provider",
    "Rates",
    "Reader",
    "Recalled",
    "Render",
    "Results",
    "ResultsFile",
    "ReviewLLM",
    "Sender",
    "Store",
    "Swept",
    "Windows",
]


class Clock(Protocol):
    """The wall clock, for what is stored, and a monotonic one, for how long a lease may still be trusted."""

    def now(self) -> int:
        """Epoch milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never jump."""


class Provider(Protocol):
    """An LLM. It never retries by itself: whether and when is for the caller to decide."""

    name: str

    async def complete(self, request: ChatRequest) -> Answer:
        """A whole answer, read. Raises ProviderError."""

    async def relay(self, request: ChatRequest) -> Relayed:
        """A whole answer as the upstream sent it. Raises ProviderError."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes. Ends only after a `finish_reason`; raises ProviderError otherwise, at any time.
        Closing it stops the upstream call."""

    async def models(self) -> Sequence[Model]:
        """What can be asked. Raises ProviderError."""

    async def close(self) -> None: ...


class ReviewLLM(Protocol):
    """An LLM that takes reviews and answers by webhook. It never retries by itself."""

    name: str

    async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
        """Returns once it has been taken; `timeout` is in seconds. Raises ProviderError."""

    async def close(self) -> None: ...


class Fetcher(Protocol):
    """Fetches the files that reviews refer to, from addresses that the relay may call."""

    async def fetch(self, url: str) -> File:
        """Bounded in size and time. Raises FileError."""

    async def close(self) -> None: ...


class Reader(Protocol):
    """Finds the text in files."""

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        """The text of these pages, 1-based, or of all; never blank. Bounded in size and time. Raises FileError."""


class Sender(Protocol):
    """Makes one callback attempt, to an address it has checked."""

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """Raises SendError. Ends within the configured deadline, body included."""

    async def close(self) -> None: ...


class ResultsFile(Protocol):
    """A benchmark's file. `path` is where an operator finds it."""

    path: str

    async def write(self, text: str) -> None:
        """Raises ResultsUnwritable."""

    async def close(self) -> None: ...


class Results(Protocol):
    """Where benchmarks leave their results."""

    async def create(self) -> ResultsFile:
        """A new file under a name of its own. Raises ResultsUnwritable."""


class Origins(Protocol):
    """Paces the attempts at each origin: a cap on those in flight, a circuit breaker for the dead."""

    def admit(self, origin: str, late: bool) -> float:
        """0.0 when the attempt may run now: it holds a slot until `done`. Else the seconds after which to ask again.
        `late` is whether the callback has been owed for long."""

    def done(self, origin: str, ok: bool | None, seconds: float) -> bool:
        """Ends an admitted attempt, exactly once. `ok` is False only when the origin itself failed it, None when the
        attempt was given up and says nothing of the origin. Whether somebody in its line might begin now."""

    def lines(self) -> Sequence[OriginLine]:
        """The origins at which others wait or soon will, so that a claim leaves there what would only be deferred."""

    def placed(self, line: OriginLine, count: int) -> None:
        """So many of the places of a line that `lines` told of are taken."""


class Guard(Protocol):
    """Knows which addresses the relay may call."""

    async def check(self, url: str) -> None:
        """Raises CallbackRefused. A name that does not resolve now passes: the connection is checked anyway."""


class Rates(Protocol):
    """Counts the requests of callers, each by a rate."""

    async def hit(self, caller: str, rate: Rate) -> Standing:
        """Counts one more, if the rate admits it."""


class Windows(Protocol):
    """The newest turns of conversations, kept where they are read fastest."""

    async def recent(self, claim: ClaimedJob) -> Sequence[Turn]:
        """The newest turns before the claimed message, newest first, as many as may travel with it. Raises
        StorageUnavailable."""

    async def ended(self, claim: ClaimedJob, ending: Ending, at: int) -> None:
        """The claimed message's ending is committed, at about `at` (epoch milliseconds, by the database's clock)."""

    async def forget(self, tenant_id: str, key: str) -> None:
        """The conversation is erased from the database: nothing of it may be read any more. Raises EraseUnfinished,
        StorageUnavailable."""


class Notifier(Protocol):
    """Tells an engine that a row may be due. A lost hint costs latency, never a job."""

    def job_ready(self) -> None: ...

    def delivery_ready(self) -> None: ...

    def job_cancelled(self, job_id: str) -> None: ...


class Failpoint(StrEnum):
    """The commit boundaries of a job's way: the instants a crash is most curious about."""

    AFTER_ACCEPT = "after_accept"
    AFTER_CLAIM = "after_claim"
    AFTER_ANSWER = "after_answer"
    AFTER_FINISH = "after_finish"
    BEFORE_CALLBACK = "before_callback"
    AFTER_CALLBACK = "after_callback"
    AFTER_DELIVERED = "after_delivered"


OnFailpoint: TypeAlias = Callable[[Failpoint], None]
"""Called at each boundary; tests end the process there."""


class Log(Protocol):
    """One wide line per stage. Never a message's text, never a secret."""

    def info(self, event: str, /, **fields: object) -> None: ...

    def warning(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def exception(self, event: str, /, **fields: object) -> None: ...
