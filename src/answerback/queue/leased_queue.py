"""How a worker pool reaches one kind of row that is claimed under a lease."""

import os
import secrets
import socket
from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

Leases: TypeAlias = Sequence[tuple[str, int]]
"""`(id, epoch)` of claims."""


class Claim(Protocol):
    """A claimed row, as far as a worker pool needs to know it. `epoch` is the row's `lease_epoch`."""

    @property
    def id(self) -> str: ...

    @property
    def epoch(self) -> int: ...


C = TypeVar("C", bound=Claim)


class LeasedQueue(Protocol[C]):
    """The operations on one kind of leased row; those that reach the database raise StorageUnavailable.

    With `outlasts_outages` a run goes on past its lease as long as the lease cannot be extended because the database is
    away: its result is paid for.
    """

    name: str
    outlasts_outages: bool

    async def claim(self, limit: int) -> tuple[Sequence[C], float | None]:
        """The claims, and the seconds until the next row is due, None if there is none."""

    async def run(self, claim: C) -> None:
        """Does the work of one claim."""

    async def extend(self, held: Leases) -> set[str]:
        """The ids that are still leased."""

    async def release(self, held: Leases) -> None:
        """Makes the rows due again."""


def owner_name() -> str:
    """Names this process in the leases that it takes."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
