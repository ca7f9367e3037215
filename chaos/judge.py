"""Whether the promises were kept: accepted = delivered + dead, in order, one body for each webhook-id."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos.ledger import Ledger

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Record:
    """A job as the database has it: its state, and that of the callback it owes (None: it owes none). `code` is why
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
        *_broken("jobs that no 202 named", known.keys() - ledger.accepted.keys()),
        *_broken("callbacks of messages that were never accepted", ledger.first.keys() - ledger.accepted.keys()),
        *_broken("keys with two jobs", ledger.contradictions),
        *_broken("neither delivered nor dead", (record.job_id for record in records if not _settled(record))),
        *_broken("delivered as the database has it, never received", _never_received(ledger, known)),
        *_broken("more than one webhook-id for a job", _several_ids(ledger)),
        *_broken("a webhook-id that is not on record", _unknown_ids(ledger, known)),
        *_broken("webhook-ids with different bodies", _changed_bodies(ledger)),
        *_broken("out of order", _out_of_order(ledger)),
        *_broken("signatures that do not verify", (each.job_id for each in ledger.arrivals if not each.signed)),
    ]


def endings(records: Iterable[Record]) -> str:
    """Such as `10,000 delivered` or `9,990 delivered, 10 dead`; with the jobs that were not answered, by state."""
    records = tuple(records)
    counts = Counter(record.callback for record in records)
    unanswered = Counter(f"{record.state} ({record.code})" for record in records if record.state != "completed")
    said = [f"{counts['delivered']:,} delivered"]
    said += [f"{counts['dead']:,} dead"] if counts["dead"] else []
    return ", ".join(said + [f"{count:,} {state}" for state, count in sorted(unanswered.items())])


def _settled(record: Record) -> bool:
    return record.state in ENDED and record.callback in ("delivered", "dead")


def _never_received(ledger: Ledger, known: Mapping[str, Record]) -> Iterable[str]:
    return (id for id, record in known.items() if record.callback == "delivered" and id not in ledger.first)


def _several_ids(ledger: Ledger) -> Iterable[str]:
    ids: defaultdict[str, set[str | None]] = defaultdict(set)
    for arrival in ledger.arrivals:
        ids[arrival.job_id].add(arrival.webhook_id)
    return (job_id for job_id, names in ids.items() if len(names) > 1)


def _unknown_ids(ledger: Ledger, known: Mapping[str, Record]) -> Iterable[str]:
    for job_id, arrival in ledger.first.items():
        if job_id in known and known[job_id].webhook_id != arrival.webhook_id:
            yield job_id


def _changed_bodies(ledger: Ledger) -> Iterable[str]:
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    for arrival in ledger.arrivals:
        bodies[str(arrival.webhook_id)].add(arrival.digest)
    return (webhook_id for webhook_id, digests in bodies.items() if len(digests) > 1)


def _out_of_order(ledger: Ledger) -> Iterable[str]:
    """Conversations whose positions have a gap, or whose answers came in another order."""
    accepted: defaultdict[str, list[int]] = defaultdict(list)
    for entry in ledger.accepted.values():
        if entry.session is not None and entry.seq is not None:
            accepted[entry.session].append(entry.seq)
    answered: defaultdict[str, list[int]] = defaultdict(list)
    for job_id in ledger.first:
        job = ledger.accepted.get(job_id)
        if job is not None and job.session is not None and job.seq is not None:
            answered[job.session].append(job.seq)
    for session, positions in accepted.items():
        complete = sorted(positions) == list(range(1, len(positions) + 1))
        if not complete or answered[session] != sorted(answered[session]):
            yield session


def _broken(what: str, which: Iterable[str]) -> list[str]:
    found = sorted(which)
    if not found:
        return []
    more = ", …" if len(found) > SHOWN else ""
    return [f"{len(found):,} {what}: {', '.join(found[:SHOWN])}{more}"]
