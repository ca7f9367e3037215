"""the second edition's tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2e01"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ATTEMPTS = sa.Text().with_variant(JSONB(), "postgresql")


def _belongs_to(column: str, owner: str) -> list[sa.ForeignKeyConstraint]:
    on_sqlite = op.get_context().dialect.name == "sqlite"
    return [sa.ForeignKeyConstraint([column], [owner])] if on_sqlite else []


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False, unique=True),
        sa.Column("operator", sa.Integer(), nullable=False),
        sa.Column("rate_limit", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
    )
    op.create_table(
        "signing_secrets",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
    )
    _index("signing_secrets_owner", "signing_secrets", "owner")
    op.create_table(
        "clock",
        sa.Column("boot_id", sa.Text(), primary_key=True),
        sa.Column("offset_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "service_secrets",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversations",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("erased_through", sa.BigInteger(), nullable=False),
        sa.Column("window_from", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    _index("conversations_idle", "conversations", "updated_at")
    _index(
        "conversations_recent",
        "conversations",
        "tenant_id",
        "updated_at",
        "id",
        where="metadata IS NULL",
        compared="updated_at",
    )
    _index("conversations_key", "conversations", "tenant_id", "key", unique=True)
    op.create_table(
        "conversation_items",
        sa.Column("conversation_id", sa.BigInteger(), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        *_belongs_to("conversation_id", "conversations.id"),
        sqlite_with_rowid=False,
    )
    _index("conversation_items_added", "conversation_items", "job_id", where="job_id LIKE 'items_%'")
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", sa.BigInteger()),
        sa.Column("position", sa.BigInteger()),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("request_hash", sa.Text()),
        sa.Column("retry_of", sa.Text()),
        sa.Column("key_id", sa.Text()),
        sa.Column("callback_url", sa.Text()),
        sa.Column("args", sa.Text(), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("attempts", ATTEMPTS, nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_epoch", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_expires_at", sa.BigInteger()),
        sa.Column("lease_losses", sa.Integer(), nullable=False),
        sa.Column("first_loss_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("traceparent", sa.Text()),
        sa.Column("erase_at", sa.BigInteger()),
        *_belongs_to("conversation_id", "conversations.id"),
    )
    _index("jobs_awaiting", "jobs", "run_at", where="state = 'awaiting'")
    _index("jobs_conversation", "jobs", "conversation_id", "kind", "state", "id", where="finished_at IS NOT NULL")
    _index("jobs_deadline", "jobs", "deadline_at", "tenant_id", where="finished_at IS NULL")
    _index("jobs_finished", "jobs", "finished_at", where="finished_at IS NOT NULL")
    _index(
        "jobs_head",
        "jobs",
        "conversation_id",
        unique=True,
        where="conversation_id IS NOT NULL AND (state = 'scheduled' OR state = 'queued' OR state = 'running' OR "
        "state = 'awaiting' OR state = 'quarantined')",
    )
    _index("jobs_held", "jobs", "conversation_id", "position", where="state = 'held'")
    _index("jobs_held_listed", "jobs", "conversation_id", "kind", "id", where="state = 'held'", compared="kind")
    _index("jobs_idempotency", "jobs", "tenant_id", "idempotency_key", unique=True, where="idempotency_key IS NOT NULL")
    _index("jobs_leased", "jobs", "lease_expires_at", where="state = 'running'", compared="lease_expires_at")
    _index("jobs_listed", "jobs", "tenant_id", "kind", "state", "id", compared="kind")
    _index(
        "jobs_on_probation",
        "jobs",
        "lease_losses",
        unique=True,
        where="state IN ('queued', 'running') AND lease_losses >= 2",
    )
    _index("jobs_quarantined", "jobs", "tenant_id", "run_at", where="state = 'quarantined'")
    _index("jobs_ready", "jobs", "queue", "rank", where="state = 'queued'", compared="rank")
    _index(
        "jobs_ready_of_tenant",
        "jobs",
        *("queue", "tenant_id", "rank"),
        where="state = 'queued'",
        compared="tenant_id",
    )
    _index("jobs_retry", "jobs", "retry_of", unique=True, where="retry_of IS NOT NULL")
    _index("jobs_running", "jobs", "queue", "rank", where="state = 'running'")
    _index("jobs_scheduled", "jobs", "queue", "run_at", where="state = 'scheduled'", compared="run_at")
    _index(
        "jobs_scheduled_of_tenant",
        "jobs",
        *("queue", "tenant_id", "run_at"),
        where="state = 'scheduled'",
        compared="tenant_id",
    )
    _index("jobs_transient", "jobs", "erase_at", where="erase_at IS NOT NULL")
    _index(
        "jobs_tried",
        "jobs",
        *("tenant_id", "finished_at", "request_hash", "id"),
        where="idempotency_key IS NULL AND request_hash IS NOT NULL",
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Text(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "questions",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    _index("questions_age", "questions", "created_at")
    _index("questions_tenant", "questions", "tenant_id", "id")
    _create_deliveries()
    _create_statistics()
    _create_inbox()
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    _index("webhook_endpoints_tenant", "webhook_endpoints", "tenant_id", "id")
    op.create_table(
        "webhook_subscriptions",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("event_type", sa.Text(), primary_key=True),
        sa.Column("endpoint_id", sa.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )
    _index("webhook_subscriptions_endpoint", "webhook_subscriptions", "endpoint_id")
    op.create_table(
        "idempotency_records",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("lease_expires_at", sa.BigInteger()),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.Text()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    _index("idempotency_records_age", "idempotency_records", "updated_at")
    _index("idempotency_records_key", "idempotency_records", "tenant_id", "route", "key", unique=True)


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text()),
    )
    _index("inbox_tenant", "inbox", "tenant_id", "id")
    _index("inbox_age", "inbox", "received_at")


def _create_statistics() -> None:
    op.create_table(
        "activity",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("minute", sa.BigInteger(), primary_key=True),
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    _index("activity_age", "activity", "minute")
    op.create_table(
        "provider_reports",
        sa.Column("process_id", sa.Text(), primary_key=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    _index("provider_reports_age", "provider_reports", "seen_at")


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text()),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.BigInteger()),
        sa.Column("position", sa.BigInteger()),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("unreached_at", sa.BigInteger()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts", ATTEMPTS, nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("lease_epoch", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_expires_at", sa.BigInteger()),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("traceparent", sa.Text()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *_belongs_to("job_id", "jobs.id"),
    )
    _index("deliveries_dead", "deliveries", "tenant_id", "id", where="state = 'dead'", compared="id")
    _index("deliveries_deadline", "deliveries", "deadline_at", where="state = 'pending'", compared="deadline_at")
    _index("deliveries_event", "deliveries", "job_id", "event_type", "destination", unique=True)
    _index("deliveries_held", "deliveries", "conversation_id", "destination", "position", where="state = 'held'")
    _index("deliveries_leased", "deliveries", "lease_expires_at", where="state = 'sending'")
    _index("deliveries_of_endpoints", "deliveries", "tenant_id", "id", where="endpoint_id IS NOT NULL", compared="id")
    _index(
        "deliveries_listed",
        "deliveries",
        *("tenant_id", "state", "job_id", "endpoint_id"),
        where="endpoint_id IS NULL AND state <> 'sending'",
        compared="job_id",
    )
    _index(
        "deliveries_order",
        "deliveries",
        "conversation_id",
        "destination",
        unique=True,
        where="conversation_id IS NOT NULL AND (state = 'pending' OR state = 'sending')",
    )
    _index("deliveries_ready", "deliveries", "tenant_id", "origin", "run_at", where="state = 'pending'")
    _index(
        "deliveries_unreached",
        "deliveries",
        "tenant_id",
        "origin",
        "created_at",
        where="state = 'pending' AND unreached_at IS NOT NULL",
    )


def _index(
    name: str, table: str, *columns: str, unique: bool = False, where: str | None = None, compared: str | None = None
) -> None:
    narrower = [where, None if compared is None else f"{compared} IS NOT NULL"]
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=None if where is None else sa.text(where),
        postgresql_where=sa.text(" AND ".join(filter(None, narrower))) if any(narrower) else None,
    )
