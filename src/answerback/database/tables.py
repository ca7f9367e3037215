"""The tables. Times are epoch milliseconds by the database's clock; states are the domain's names.

Order in a conversation is held by the database itself: `jobs_line` lets only one job of a conversation be queued,
running or awaiting, `deliveries_line` only one of its callbacks be pending or sending. `jobs_suspect_running` lets one
suspect run at a time: a third loss poisons, so all that run have lost exactly two.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

# No index serves a query that could use another one of fewer rows: PostgreSQL chooses by statistics, which for tables
# of things that wait are those of another hour. So what is open says so without its states, and a line asks for a
# conversation.
OPEN = "finished_at IS NULL"
LINE_STATES = "state IN ('queued', 'running', 'awaiting')"
# A job that would be poisoned by one more lost lease is suspect, and runs while no other suspect does.
READY = "state = 'queued' AND lease_losses < 2"
SUSPECT = "state = 'queued' AND lease_losses >= 2"
SUSPECT_RUNNING = "state = 'running' AND lease_losses >= 2"
OWED_STATES = "state IN ('pending', 'sending')"

# SQLite numbers a table by itself only where the key's type reads INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")


def _when(predicate: str) -> dict[str, Any]:
    return {"sqlite_where": text(predicate), "postgresql_where": text(predicate)}


tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

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
    Column("revoked_at", BigInteger),
)
"""The tenant of a key may be `default`, which has no row of its own."""

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

own_secrets = Table(
    "own_secrets",
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
    Column("last_seq", BigInteger, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("erased_through", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("conversations_key", "tenant_id", "key", unique=True),
    Index("conversations_idle", "updated_at"),
)

turns = Table(
    "turns",
    metadata,
    Column("conversation_id", BigInteger, ForeignKey("conversations.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("user_text", Text, nullable=False),
    Column("assistant_text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("conversation_id", BigInteger),
    Column("seq", BigInteger),
    Column("state", Text, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_expires_at", BigInteger),
    Column("lease_losses", Integer, nullable=False),
    Column("first_loss_at", BigInteger),
    Column("deadline_at", BigInteger, nullable=False),
    Column("idempotency_key", Text),
    Column("request_hash", Text),
    Column("retry_of", Text),
    Column("callback_url", Text),
    Column("request", Text, nullable=False),
    Column("answer", Text),
    Column("model", Text),
    Column("usage", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("traceparent", Text),
    # Without an index of all jobs by conversation, PostgreSQL would read the table to check it.
    ForeignKeyConstraint(["conversation_id"], ["conversations.id"]).ddl_if(dialect="sqlite"),
    Index("jobs_ready", "run_at", **_when(READY)),
    Index("jobs_suspect", "run_at", **_when(SUSPECT)),
    Index("jobs_suspect_running", "lease_losses", unique=True, **_when(SUSPECT_RUNNING)),
    Index("jobs_leased", "lease_expires_at", **_when("state = 'running'")),
    Index("jobs_awaiting", "run_at", **_when("state = 'awaiting'")),
    Index("jobs_deadline", "deadline_at", **_when(OPEN)),
    Index("jobs_line", "conversation_id", unique=True, **_when(f"conversation_id IS NOT NULL AND {LINE_STATES}")),
    Index("jobs_held", "conversation_id", "seq", **_when("state = 'held'")),
    Index("jobs_idempotency", "tenant_id", "idempotency_key", unique=True, **_when("idempotency_key IS NOT NULL")),
    Index("jobs_retry", "retry_of", unique=True, **_when("retry_of IS NOT NULL")),
    Index("jobs_tenant", "tenant_id", "id"),
    Index("jobs_conversation", "conversation_id", **_when("finished_at IS NOT NULL")),
    Index("jobs_finished", "finished_at", **_when("finished_at IS NOT NULL")),
)

questions = Table(
    "questions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("questions_tenant", "tenant_id", "id"),
    Index("questions_age", "created_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("tenant_id", Text, nullable=False),
    Column("conversation_id", BigInteger),
    Column("seq", BigInteger),
    Column("url", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_expires_at", BigInteger),
    Column("deadline_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("traceparent", Text),
    Index("deliveries_line", "conversation_id", unique=True, **_when(f"conversation_id IS NOT NULL AND {OWED_STATES}")),
    Index("deliveries_held", "conversation_id", "seq", **_when("state = 'held'")),
    Index("deliveries_ready", "run_at", **_when("state = 'pending'")),
    Index("deliveries_leased", "lease_expires_at", **_when("state = 'sending'")),
)

attempts = Table(
    "attempts",
    metadata,
    Column("of", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("http_status", Integer),
    Column("error", Text),
    Column("duration_ms", BigInteger),
    Column("snippet", Text),
    sqlite_with_rowid=False,
)

# No `sqlite_with_rowid=False`: a body may take megabytes.
idempotency_records = Table(
    "replays",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("lease_expires_at", BigInteger),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("updated_at", BigInteger, nullable=False),
    Index("replays_key", "tenant_id", "door", "key", unique=True),
    Index("replays_age", "updated_at"),
)
"""Calls with a key. `lease_expires_at` is null once a call was answered; then `status`, `headers` and `body` are the
response, null where it was too large to keep."""
