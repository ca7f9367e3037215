"""The tables. Times are epoch milliseconds: of the scheduling clock where they decide when something happens (`run_at`,
`deadline_at`, `lease_expires_at`, `rank`, `first_loss_at`, `erase_at`, `unreached_at`,
`idempotency_records.updated_at`, `signing_secrets.expires_at`), else of the wall clock.

Order is held by the database itself: `jobs_head` lets only one job of a conversation be scheduled, queued, running,
awaiting or quarantined, and `deliveries_order` only one of its deliveries to one destination be pending or sending; the
others are held. `jobs_on_probation` lets one job that has lost two leases be queued or running at a time.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

# No index may also suit a query that has a narrower one: PostgreSQL's statistics are stale for queues, and it may pick
# the wider. So the predicate of open jobs names no states, and the head of a conversation queue is found by its
# conversation.
OPEN = "finished_at IS NULL"
JOB_HEAD_STATES = ("scheduled", "queued", "running", "awaiting", "quarantined")
# A job that has lost two leases runs only while no other such job does; a third loss fails it.
ON_PROBATION = "state IN ('queued', 'running') AND lease_losses >= 2"
OWED_STATES = ("pending", "sending")
ORDERED = "conversation_id IS NOT NULL"
# A request without a key that its client sends again by itself.
TRIED = "idempotency_key IS NULL AND request_hash IS NOT NULL"
ADDED = "job_id LIKE 'items_%'"
UNREACHED = "unreached_at IS NOT NULL"
# What is sending is soon something else, and little; an endpoint's deliveries are shown by their job only.
LISTED = "endpoint_id IS NULL AND state <> 'sending'"

# SQLite makes ids only for a key whose type reads INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

Attempts = Text().with_variant(JSONB(), "postgresql")
"""A JSON array, see `answerback.queue.attempts`."""


def one_of(states: Sequence[str], table: str | None = None) -> str:
    """Whether a row of the table is in one of these states. Not by IN: of more than two values SQLite would make a
    table, for each row that it changes."""
    column = "state" if table is None else f"{table}.state"
    compared = " OR ".join(f"{column} = '{state}'" for state in states)
    return f"({compared})"


def _when(predicate: str, compared: str | None = None) -> dict[str, Any]:
    """`compared` names a column that is never null: on PostgreSQL the index then serves no query that does not compare
    it. SQLite chooses by no such statistics."""
    narrower = predicate if compared is None else f"{predicate} AND {compared} IS NOT NULL"
    return {"sqlite_where": text(predicate), "postgresql_where": text(narrower)}


def _comparing(column: str) -> dict[str, Any]:
    """As `_when`, for an index of all rows."""
    return {"postgresql_where": text(f"{column} IS NOT NULL")}


def _belongs_to(column: str, owner: str) -> ForeignKeyConstraint:
    """On SQLite only, which checks it for little. PostgreSQL would read and lock the owner's row for each row inserted,
    which its transaction has locked already, and read all jobs where a conversation goes."""
    return ForeignKeyConstraint([column], [owner]).ddl_if(dialect="sqlite")


tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("weight", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""`weight` is the tenant's share of what is short, beside other tenants; without a row it is 1."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("operator", Integer, nullable=False),
    Column("rate_limit", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
)
"""The tenant of a key may be `default`, which may have no row of its own. `last_used_at` is written at most once a
minute."""

signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("signing_secrets_owner", "owner"),
)
"""`owner` is a tenant's id or an endpoint's; `expires_at` is null for the owner's current secret."""

# SQLite's scheduling clock (`sqlite_clock.py`); empty on PostgreSQL, whose server has one.
clock = Table(
    "clock",
    metadata,
    Column("boot_id", Text, primary_key=True),
    Column("offset_ms", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

service_secrets = Table(
    "service_secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("erased_through", BigInteger, nullable=False),
    Column("window_from", BigInteger, nullable=False),
    Column("metadata", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("conversations_key", "tenant_id", "key", unique=True),
    Index("conversations_idle", "updated_at"),
    Index("conversations_recent", "tenant_id", "updated_at", "id", **_when("metadata IS NULL", compared="updated_at")),
)
"""`metadata` is null for sessions of the relay; for conversations of `/v1/conversations` it is a JSON object, or empty
once they are deleted. Items of the latter stay as long as the conversation, others as long as their job."""

conversation_items = Table(
    "conversation_items",
    metadata,
    Column("conversation_id", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("items", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    _belongs_to("conversation_id", "conversations.id"),
    Index("conversation_items_added", "job_id", **_when(ADDED)),
    sqlite_with_rowid=False,
)
"""What conversations remember. `items` is what the job at this position added: a JSON array of OpenAI's items. What
clients add by themselves has a position of its own, and in place of a job's id one that begins with `items_`."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    Column("conversation_id", BigInteger),
    Column("position", BigInteger),
    Column("idempotency_key", Text),
    Column("request_hash", Text),
    Column("retry_of", Text),
    Column("key_id", Text),
    Column("callback_url", Text),
    Column("args", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    Column("attempts", Attempts, nullable=False),
    Column("attempts_made", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_expires_at", BigInteger),
    Column("lease_losses", Integer, nullable=False),
    Column("first_loss_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("claimed_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("traceparent", Text),
    Column("erase_at", BigInteger),
    _belongs_to("conversation_id", "conversations.id"),
    Index("jobs_ready", "queue", "rank", **_when("state = 'queued'", compared="rank")),
    Index("jobs_ready_of_tenant", "queue", "tenant_id", "rank", **_when("state = 'queued'", compared="tenant_id")),
    Index("jobs_running", "queue", "rank", **_when("state = 'running'")),
    Index("jobs_scheduled", "queue", "run_at", **_when("state = 'scheduled'", compared="run_at")),
    Index(
        "jobs_scheduled_of_tenant",
        *("queue", "tenant_id", "run_at"),
        **_when("state = 'scheduled'", compared="tenant_id"),
    ),
    Index("jobs_quarantined", "tenant_id", "run_at", **_when("state = 'quarantined'")),
    Index("jobs_on_probation", "lease_losses", unique=True, **_when(ON_PROBATION)),
    Index("jobs_leased", "lease_expires_at", **_when("state = 'running'", compared="lease_expires_at")),
    Index("jobs_awaiting", "run_at", **_when("state = 'awaiting'")),
    Index("jobs_deadline", "deadline_at", "tenant_id", **_when(OPEN)),
    Index("jobs_head", "conversation_id", unique=True, **_when(f"{ORDERED} AND {one_of(JOB_HEAD_STATES)}")),
    Index("jobs_held", "conversation_id", "position", **_when("state = 'held'")),
    Index("jobs_idempotency", "tenant_id", "idempotency_key", unique=True, **_when("idempotency_key IS NOT NULL")),
    Index("jobs_tried", "tenant_id", "finished_at", "request_hash", "id", **_when(TRIED)),
    Index("jobs_retry", "retry_of", unique=True, **_when("retry_of IS NOT NULL")),
    Index("jobs_listed", "tenant_id", "kind", "state", "id", **_comparing("kind")),
    Index("jobs_conversation", "conversation_id", "kind", "state", "id", **_when("finished_at IS NOT NULL")),
    Index("jobs_held_listed", "conversation_id", "kind", "id", **_when("state = 'held'", compared="kind")),
    Index("jobs_finished", "finished_at", **_when("finished_at IS NOT NULL")),
    Index("jobs_transient", "erase_at", **_when("erase_at IS NOT NULL")),
)
"""`attempt` counts those that the retry schedule counts, the current one included: what is given back, snoozed or lost
does not count. `attempts` is the record of those that ended, with a gap between the first and the last of very many;
`attempts_made` is how many ended, counted or not. `key_id` is the key that its request carried. `erase_at` is when the
row is to lose what it holds, null where it keeps that.

`rank` is the place in the queue: a claim takes queued jobs in its order. It is the time at which the job could first be
claimed or, after a retry was scheduled, when that was due; one that is given back or lost keeps it.

`lease_losses` counts leases lost in the window that begins at `first_loss_at`, null before the first loss.
"""

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
"""What jobs emit while they run. A row holds events that were stored together; `seq` is the number of the last one."""

questions = Table(
    "questions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("questions_tenant", "tenant_id", "id"),
    Index("questions_age", "created_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("endpoint_id", Text),
    Column("destination", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("conversation_id", BigInteger),
    Column("position", BigInteger),
    Column("url", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("unreached_at", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("attempts", Attempts, nullable=False),
    Column("attempts_made", Integer, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_expires_at", BigInteger),
    Column("deadline_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("claimed_at", BigInteger),
    Column("delivered_at", BigInteger),
    Column("traceparent", Text),
    Column("body", LargeBinary, nullable=False),
    _belongs_to("job_id", "jobs.id"),
    Index("deliveries_event", "job_id", "event_type", "destination", unique=True),
    Index(
        "deliveries_order",
        "conversation_id",
        "destination",
        unique=True,
        **_when(f"{ORDERED} AND {one_of(OWED_STATES)}"),
    ),
    Index("deliveries_held", "conversation_id", "destination", "position", **_when("state = 'held'")),
    Index("deliveries_ready", "tenant_id", "origin", "run_at", **_when("state = 'pending'")),
    Index("deliveries_unreached", "tenant_id", "origin", "created_at", **_when(f"state = 'pending' AND {UNREACHED}")),
    Index("deliveries_deadline", "deadline_at", **_when("state = 'pending'", compared="deadline_at")),
    Index("deliveries_dead", "tenant_id", "id", **_when("state = 'dead'", compared="id")),
    Index("deliveries_of_endpoints", "tenant_id", "id", **_when("endpoint_id IS NOT NULL", compared="id")),
    Index("deliveries_leased", "lease_expires_at", **_when("state = 'sending'")),
    Index("deliveries_listed", "tenant_id", "state", "job_id", "endpoint_id", **_when(LISTED, compared="job_id")),
)
"""`destination` is the endpoint's id, or a hash of the request's callback URL. `unreached_at` is when the last attempt
began, if it got no response."""

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("webhook_endpoints_tenant", "tenant_id", "id"),
)

webhook_subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("event_type", Text, primary_key=True),
    Column("endpoint_id", Text, primary_key=True),
    Index("webhook_subscriptions_endpoint", "endpoint_id"),
    sqlite_with_rowid=False,
)

activity = Table(
    "activity",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Index("activity_age", "minute"),
    sqlite_with_rowid=False,
)
"""How many jobs ended in a minute (minutes since the epoch), by tenant and outcome (`completed` or an error code), and
what their answers cost; `calls` of them were calls whose clients waited, and are no rows of `jobs`. Rows without a
tenant are of all tenants together. Statistics: a kill loses seconds of them."""

provider_reports = Table(
    "provider_reports",
    metadata,
    Column("process_id", Text, primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
    Column("report", Text, nullable=False),
    Index("provider_reports_age", "seen_at"),
    sqlite_with_rowid=False,
)
"""What each process has seen of the providers, as JSON, for all others to show."""

inbox = Table(
    "inbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("signature", Text, nullable=False),
    Column("job_id", Text),
    Index("inbox_tenant", "tenant_id", "id"),
    Index("inbox_age", "received_at"),
)
"""Callbacks that tenants sent to the service itself, to look at. `body` is the beginning of one that had `size` bytes;
`signature` is the verdict on it; `job_id` is what it says."""

# No `sqlite_with_rowid=False`: a body may take megabytes.
idempotency_records = Table(
    "idempotency_records",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("lease_expires_at", BigInteger),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("updated_at", BigInteger, nullable=False),
    Index("idempotency_records_key", "tenant_id", "route", "key", unique=True),
    Index("idempotency_records_age", "updated_at"),
)
"""Requests with an Idempotency-Key. `lease_expires_at` is null once a request was answered; then `status`, `headers`
and `body` are the stored response, null where it was too large to store."""
