"""A request that its client sends again by itself gets the job of its earlier try, in whichever process: it has no
idempotency key, but its tries have one hash."""

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.predicates import OPEN
from answerback.database.statement import Statement
from answerback.jobs.accept import earlier_job
from answerback.jobs.model import Accepted, Tried

KEPT_MS = 10_000
"""How long a job that has ended is found: OpenAI's SDKs wait for 8 s at most before they try again."""

FOUND_AT_ONCE = 64
"""More than could be locked by tries of the same moment, which pass over each other's jobs."""

_TRIED_BEFORE = "request_hash >= :first AND request_hash < :this"
_JUST_ENDED = "finished_at >= :since"
# Of the try just before, not one that an equal request may still come back for.
_LATEST_TRY = "ORDER BY request_hash DESC, id DESC"


def _found(which: str) -> str:
    return f"""
        SELECT id FROM jobs
        WHERE tenant_id = :of_tenant AND idempotency_key IS NULL AND {which} AND {_TRIED_BEFORE}
        {_LATEST_TRY} LIMIT {FOUND_AT_ONCE}"""


def _taking_earlier(dialect: Dialect) -> str:
    # Apart, since an index finds each of the two without those that ended earlier: there may be millions of equal ones.
    either = f"SELECT id FROM ({_found(OPEN)}) AS open UNION ALL SELECT id FROM ({_found(_JUST_ENDED)}) AS ended"
    # Said again of the row that is locked: another try may have taken it meanwhile, and it may have ended.
    return f"""
    UPDATE jobs SET request_hash = :now_taken
    WHERE id = (
        SELECT id FROM jobs
        WHERE {dialect.is_one_of("id", either)} AND {_TRIED_BEFORE} AND ({OPEN} OR {_JUST_ENDED})
        {_LATEST_TRY} LIMIT 1
        {dialect.locking("FOR UPDATE SKIP LOCKED")}
    )
    RETURNING id, position, created_at"""


TAKE_EARLIER = Statement(_taking_earlier)


def stored_hash(tried: Tried) -> str:
    """What a job's row holds: the hash, and the number of the last try that got the job."""
    return f"{tried.request_hash}:{tried.number:03}"


def take_earlier(tx: Transaction, tenant_id: str, tried: Tried) -> Operation[Accepted | None]:
    """The job of an earlier try, each of which was one request: the same try of another client gets another job."""
    this = stored_hash(tried)
    rows = yield TAKE_EARLIER(
        of_tenant=tenant_id, first=tried.request_hash, this=this, since=tx.wall - KEPT_MS, now_taken=this
    )
    return earlier_job(rows[0]) if rows else None
