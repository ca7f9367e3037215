"""How a worker pool reaches one kind of row that is claimed under a lease."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from answerback.kernel.shares import Shares

Leases: TypeAlias = Sequence[tuple[str, int]]
"""`(id, epoch)` of claims."""


class Claim(Protocol):
    """A claimed row, as far as a worker pool needs to know it. `epoch` is the row's `lease_epoch`."""

    @property
    def id(self) -> str: ...

    @property
    def epoch(self) -> int: ...

    @property
    def tenant_id(self) -> str: ...


C = TypeVar("C", bound=Claim)


@dataclass(frozen=True, slots=True)
class Claims(Generic[C]):
    """What a claim brought, and in how many seconds the next row is due (0.0: it is), None if none waits. `held_back`:
    rows that are due were left because their tenant holds its share of the pool."""

    rows: Sequence[C]
    next_in: float | None
    held_back: bool = False


class LeasedQueue(Protocol[C]):
    """The operations on one kind of leased row; those that reach the database raise StorageUnavailable.

    With `outlasts_outages` a run goes on past its lease as long as the lease cannot be extended because the database is
    away, or was not because the process stood still: its result is paid for.
    """

    name: str
    outlasts_outages: bool

    async def claim(self, limit: int, shares: Shares) -> Claims[C]:
        """Claims at most `limit` rows, and of each tenant no more than `shares`, a copy, allow it."""

    async def run(self, claim: C) -> None:
        """Does the work of one claim. Cancelled while it stores the outcome it returns, and that is stored beside."""

    async def extend(self, held: Leases) -> set[str]:
        """The ids that are still leased."""

    async def release(self, held: Leases) -> None:
        """Makes the rows due again."""


def owner_name() -> str:
    """Names this process in the leases that it takes."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
