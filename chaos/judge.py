"""Whether what was promised is what happened: accepted = delivered + dead, in order, one body for each webhook-id."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos.ledger import Ledger

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Record:
    """A job as the database has it: its state, and that of the callback it owes (None: it owes none). `code` says why
    it was not answered."""

    job_id: str
    state: str
    webhook_id: str | None
    callback: str | None
    code: str | None = None


def judge(ledger: Ledger, records: Sequence[Record]) -> list[str]:
    """The promises that were broken. `records` are all jobs under the run's keys."""
    known = {record.job_id: record for record in records}
    return [
        *_broken("accepted and lost", ledger.accepted.keys() - known.keys()),
        *_broken("jobs that no client was told of", known.keys() - ledger.accepted.keys()),
        *_broken("callbacks of messages that were never accepted", ledger.first.keys() - ledger.accepted.keys()),
        *_broken("keys with two jobs", ledger.contradictions),
        *_broken("neither delivered nor dead", (record.job_id for record in records if not _settled(record))),
        *_broken("delivered by the books, never received", _unheard(ledger, known)),
        *_broken("more than one webhook-id for a job", _told_twice(ledger)),
        *_broken("a webhook-id that is not on record", _misnamed(ledger, known)),
        *_broken("webhook-ids with different bodies", _rewritten(ledger)),
        *_broken("out of order", _disordered(ledger)),
        *_broken("signatures that do not verify", (each.job_id for each in ledger.arrivals if not each.signed)),
    ]


def endings(records: Iterable[Record]) -> str:
    """Such as `10,000 delivered` or `9,990 delivered, 10 dead`; jobs that were not answered are told too."""
    records = tuple(records)
    counts = Counter(record.callback for record in records)
    unanswered = Counter(f"{record.state} ({record.code})" for record in records if record.state != "completed")
    said = [f"{counts['delivered']:,} delivered"]
    said += [f"{counts['dead']:,} dead"] if counts["dead"] else []
    return ", ".join(said + [f"{count:,} {state}" for state, count in sorted(unanswered.items())])


def _settled(record: Record) -> bool:
    return record.state in ENDED and record.callback in ("delivered", "dead")


def _unheard(ledger: Ledger, known: Mapping[str, Record]) -> Iterable[str]:
    return (id for id, record in known.items() if record.callback == "delivered" and id not in ledger.first)


def _told_twice(ledger: Ledger) -> Iterable[str]:
    ids: defaultdict[str, set[str | None]] = defaultdict(set)
    for arrival in ledger.arrivals:
        ids[arrival.job_id].add(arrival.webhook_id)
    return (job_id for job_id, names in ids.items() if len(names) > 1)


def _misnamed(ledger: Ledger, known: Mapping[str, Record]) -> Iterable[str]:
    for job_id, arrival in ledger.first.items():
        if job_id in known and known[job_id].webhook_id != arrival.webhook_id:
            yield job_id


def _rewritten(ledger: Ledger) -> Iterable[str]:
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    for arrival in ledger.arrivals:
        bodies[str(arrival.webhook_id)].add(arrival.digest)
    return (webhook_id for webhook_id, digests in bodies.items() if len(digests) > 1)


def _disordered(ledger: Ledger) -> Iterable[str]:
    """Conversations whose places in line have a gap, or whose answers came in another order."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for entry in ledger.accepted.values():
        if entry.session is not None and entry.seq is not None:
            lines[entry.session].append(entry.seq)
    heard: defaultdict[str, list[int]] = defaultdict(list)
    for job_id in ledger.first:
        told = ledger.accepted.get(job_id)
        if told is not None and told.session is not None and told.seq is not None:
            heard[told.session].append(told.seq)
    for session, places in lines.items():
        in_line = sorted(places) == list(range(1, len(places) + 1))
        if not in_line or heard[session] != sorted(heard[session]):
            yield session


def _broken(what: str, which: Iterable[str]) -> list[str]:
    found = sorted(which)
    if not found:
        return []
    more = ", …" if len(found) > SHOWN else ""
    return [f"{len(found):,} {what}: {', '.join(found[:SHOWN])}{more}"]
