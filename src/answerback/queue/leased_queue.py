"""How a worker pool reaches one kind of row that is claimed under a lease."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Claim(Protocol):
    """A claimed row, as far as a worker pool needs to know it. `epoch` is the row's `lease_epoch`."""

    @property
    def id(self) -> str: ...

    @property
    def epoch(self) -> int: ...


C = TypeVar("C", bound=Claim)


@dataclass(frozen=True, slots=True)
class LeasedQueue(Generic[C]):
    """The operations on one kind of leased row; those that reach the database raise StorageUnavailable.

    `claim` takes a limit; it returns the claims and the seconds until the next row is due, None if there is none.
    `run` does the work of one claim. `extend` takes `(id, epoch)` pairs and returns the ids that are still leased.
    `release` takes such pairs and makes their rows due. With `outlasts_outages` a run goes on past its lease as long as
    the lease cannot be extended because the database is away: its result is paid for.
    """

    name: str
    claim: Callable[[int], Awaitable[tuple[Sequence[C], float | None]]]
    run: Callable[[C], Awaitable[None]]
    extend: Callable[[Sequence[tuple[str, int]]], Awaitable[set[str]]]
    release: Callable[[Sequence[tuple[str, int]]], Awaitable[None]]
    outlasts_outages: bool
