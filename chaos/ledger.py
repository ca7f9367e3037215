"""The 202s that clients got, and the callbacks that their receiver got."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Accepted:
    """One 202, as the client that sent `key` got it. `seq` is None for a message of no conversation; `at` is
    monotonic seconds, when its first POST began."""

    job_id: str
    key: str
    session: str | None
    seq: int | None
    at: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One callback that its receiver answered with a 2xx. `digest` is its body's, `at` monotonic seconds."""

    webhook_id: str | None
    job_id: str
    status: str
    digest: bytes
    signed: bool
    at: float


def digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


@dataclass(slots=True)
class Ledger:
    """The messages of one run. `keys` with this prefix are its own, in whatever database it shares with others."""

    prefix: str
    accepted: dict[str, Accepted] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    first: dict[str, Arrival] = field(default_factory=dict)
    """The first arrival of each job."""
    contradictions: list[str] = field(default_factory=list)
    """Keys whose 202s named different jobs."""
    _by_key: dict[str, str] = field(default_factory=dict)

    def accept(self, entry: Accepted) -> None:
        """Records a 202. The same key may be answered again, with the same job."""
        if self._by_key.setdefault(entry.key, entry.job_id) != entry.job_id:
            self.contradictions.append(entry.key)
            return
        self.accepted.setdefault(entry.job_id, entry)

    def arrive(self, arrival: Arrival) -> bool:
        """Records a callback; whether it is the job's first."""
        self.arrivals.append(arrival)
        return self.first.setdefault(arrival.job_id, arrival) is arrival

    @property
    def lags(self) -> Mapping[str, float]:
        """Seconds from each message's first POST to its callback."""
        return {id: self.first[id].at - entry.at for id, entry in self.accepted.items() if id in self.first}
