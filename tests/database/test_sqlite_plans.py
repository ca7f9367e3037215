"""The indexes that SQLite uses for the statements that a busy service executes all the time."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from answerback.database.sqlite.driver import texts
from answerback.database.statement import PARAMETER, Statement
from answerback.testing.clock import FakeClock
from builders import accept, ended_job, raw
from databases import SqliteDatabase
from hot_statements import HOT


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connection(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[sqlite3.Connection]:
    """To a database with a job that has ended and one that waits. No test changes it."""
    path = tmp_path_factory.mktemp("plans") / "answerback.db"
    shutil.copy(migrated_file, path)
    stores = await SqliteDatabase(path).open(FakeClock())
    await ended_job(stores)
    await accept(stores)
    with raw(path) as opened:
        yield opened
    await stores.close()


def plan(connection: sqlite3.Connection, statement: Statement) -> list[str]:
    return [step for text in texts_of(statement) for step in steps_of(connection, f"EXPLAIN QUERY PLAN {text}")]


def texts_of(statement: Statement) -> list[str]:
    return [PARAMETER.sub("?", text) for text in texts(statement) if text is not None]


def steps_of(connection: sqlite3.Connection, text: str) -> list[str]:
    return [row[-1] for row in connection.execute(text, [1] * text.count("?"))]


@pytest.mark.parametrize("name", [name for name, statement in HOT.items() if not statement.only_locks])
async def test_no_hot_statement_reads_a_whole_table(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, HOT[name])

    # A scan is fine over a partial index that holds only the rows that the statement is about, over the statement's own
    # parameters, and over rows that it has picked already.
    picked = {f"SCAN {step.split()[1]}" for step in steps if step.startswith(("CO-ROUTINE", "MATERIALIZE"))}
    fine = ("USING", "CONSTANT", "VIRTUAL TABLE")
    read = [step for step in steps if step.startswith("SCAN") and step not in picked]
    whole = [step for step in read if not any(word in step for word in fine)]
    assert not whole, steps
    # One job's deliveries are few. To read the open jobs by tenant takes ten times as long as to sort them. In a page
    # of pending deliveries those of one millisecond are sorted. The outcomes of a day are few, and so are
    # receivers that are owed something, the ends of what each is owed, what a probe is chosen from, the jobs of
    # one request that have just ended, and the groups of events that are read at a time.
    few = ("DELIVERIES_OF_JOB", "OPEN_JOBS", "PENDING_PAGE", "DAY_OF_ACTIVITY", "WAITING_AT_RECEIVERS", "CLAIM_PROBE")
    few += ("DUE_FIRST_AT_RECEIVERS", "DUE_LAST_AT_RECEIVERS", "UNREACHED_FIRST_AT_RECEIVERS", "TAKE_EARLIER")
    few += ("EVENTS_AFTER",)
    assert name in few or not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("FIND_BY_KEY", "jobs_idempotency (tenant_id=? AND idempotency_key=?)"),
        ("TAKE_EARLIER", "jobs_tried (tenant_id=? AND finished_at=? AND request_hash>? AND request_hash<?)"),
        ("TAKE_EARLIER", "jobs_tried (tenant_id=? AND finished_at>?)"),
        ("TAKE_EARLIER", "sqlite_autoindex_jobs_1 (id=?)"),
        ("DUE", "jobs_scheduled (queue=? AND run_at<?)"),
        ("FIRST_OF_TENANT", "jobs_scheduled_of_tenant (queue=? AND tenant_id=?)"),
        ("SCHEDULED_TENANTS", "jobs_scheduled_of_tenant"),
        ("FIND_RESPONSE", "sqlite_autoindex_jobs_1 (id=?)"),
        ("MANY_RESPONSES", "sqlite_autoindex_jobs_1 (id=?)"),
        ("DISCARD_RESPONSE", "sqlite_autoindex_jobs_1 (id=?)"),
        ("ERASE_UNSTORED", "jobs_transient (erase_at<?)"),
        ("PROMOTE", "jobs_ready_of_tenant (queue=? AND tenant_id=?)"),
        ("INSERT_JOB", "jobs_ready_of_tenant (queue=? AND tenant_id=?)"),
        ("INSERT_JOB", "jobs_running (queue=?)"),
        ("CLAIM_JOBS", "jobs_ready (queue=? AND rank>?)"),
        ("CLAIM_OF_TENANT", "jobs_ready_of_tenant (queue=? AND tenant_id=?)"),
        ("WALK_TENANTS", "jobs_ready_of_tenant"),
        ("NEXT_SCHEDULED", "jobs_scheduled (queue=? AND run_at>?)"),
        ("NEXT_QUEUED", "jobs_ready (queue=? AND rank>?)"),
        ("RELEASE_NEXT_JOB", "jobs_held (conversation_id=?)"),
        ("RELEASE_NEXT_JOB", "jobs_head (conversation_id=?)"),
        ("LOST_JOBS", "jobs_leased (lease_expires_at<?)"),
        ("RELEASE_QUARANTINED", "jobs_quarantined (tenant_id>?)"),
        ("RELEASE_QUARANTINED", "jobs_on_probation"),
        ("UNANSWERED_JOBS", "jobs_awaiting (run_at<?)"),
        ("OVERDUE_JOBS", "jobs_deadline (deadline_at<?)"),
        ("OLD_JOBS", "jobs_finished (finished_at>? AND finished_at<?)"),
        ("PRUNE_CONVERSATIONS", "conversations_idle (updated_at<?)"),
        ("PRUNE_CONVERSATIONS", "jobs_conversation (conversation_id=?)"),
        ("ENDED_OF", "jobs_conversation (conversation_id=?)"),
        ("TENANTS_WITH_JOBS", "COVERING INDEX jobs_listed (tenant_id>?)"),
        ("KINDS_OF_TENANT", "jobs_listed (tenant_id=? AND kind>?)"),
        ("LIST_OF_TENANT", "COVERING INDEX jobs_listed (tenant_id=? AND kind=? AND state=? AND id>? AND id<?)"),
        (
            "LIST_ENDED_OF_CONVERSATION",
            "jobs_conversation (conversation_id=? AND kind=? AND state=? AND id>? AND id<?)",
        ),
        ("LIST_HELD_OF_CONVERSATION", "jobs_held_listed (conversation_id=? AND kind=? AND id<?)"),
        ("HEAD_OF_CONVERSATION", "jobs_head (conversation_id=?)"),
        ("HELD_AHEAD", "jobs_held (conversation_id=? AND position<?)"),
        ("LIST_BY_DELIVERY", "COVERING INDEX deliveries_listed (tenant_id=? AND state=? AND job_id>? AND job_id<?)"),
        ("LIST_SENDING", "deliveries_leased"),
        ("WAITING_AT_RECEIVERS", "deliveries_ready (tenant_id=?)"),
        ("HELD_AT_RECEIVERS", "deliveries_listed (tenant_id=? AND state=? AND job_id>?)"),
        ("DEAD_AT_RECEIVERS", "deliveries_dead (tenant_id=? AND id>?)"),
        ("DELIVERED_AT_RECEIVERS", "deliveries_listed (tenant_id=? AND state=? AND job_id>?)"),
        ("TO_ENDPOINTS_AT_RECEIVERS", "deliveries_of_endpoints (tenant_id=? AND id>?)"),
        ("DUE_FIRST_AT_RECEIVERS", "deliveries_ready (tenant_id=? AND origin=?)"),
        ("DUE_LAST_AT_RECEIVERS", "deliveries_ready (tenant_id=? AND origin=?)"),
        ("UNREACHED_FIRST_AT_RECEIVERS", "deliveries_unreached (tenant_id=? AND origin=?)"),
        ("OWN_DELIVERIES", "deliveries_event (job_id=?)"),
        ("OWN_DELIVERIES", "deliveries_order (conversation_id=? AND destination=?)"),
        ("REMEMBERED", "PRIMARY KEY (conversation_id=?"),
        ("RECENT_CONVERSATIONS", "conversations_recent (tenant_id=? AND updated_at<?)"),
        ("RECENT_CONVERSATIONS_OF_ALL", "conversations_idle (updated_at<?)"),
        ("WALK", "deliveries_ready (tenant_id>?)"),
        ("WALK", "deliveries_ready (tenant_id=? AND (origin,run_at)>(?,?))"),
        ("ROUND", "deliveries_ready"),
        ("CLAIM_DUE", "deliveries_ready (tenant_id=? AND origin=? AND run_at<?)"),
        ("CLAIM_PROBE", "deliveries_ready (tenant_id=? AND origin=? AND run_at<?)"),
        ("CLAIM_PROBE", "deliveries_unreached (tenant_id=? AND origin=?"),
        ("CLAIM_UNREACHED", "deliveries_unreached (tenant_id=? AND origin=?"),
        ("NOTIFY_URL", "deliveries_order (conversation_id=? AND destination=?)"),
        ("RELEASE_NEXT", "deliveries_held (conversation_id=? AND destination=?)"),
        ("FIND_LOST", "deliveries_leased (lease_expires_at<?)"),
        ("FIND_OVERDUE", "deliveries_deadline (deadline_at<?)"),
        ("DEAD_PAGE", "deliveries_dead (tenant_id=? AND id>?)"),
        ("COUNT_OF_TENANT", "COVERING INDEX jobs_listed (tenant_id=? AND kind=? AND state=?)"),
        ("NEXT_QUEUED_OF_TENANT", "jobs_ready_of_tenant (queue=? AND tenant_id=? AND rank>?)"),
        ("COUNT_scheduled", "INDEX jobs_scheduled"),
        ("COUNT_held", "jobs_held (conversation_id>?)"),
        ("COUNT_running", "jobs_leased (lease_expires_at>?)"),
        ("COUNT_awaiting", "jobs_awaiting (run_at>?)"),
        ("COUNT_quarantined", "jobs_quarantined (tenant_id>?)"),
        ("COUNT_pending_OF_TENANT", "INDEX deliveries_ready (tenant_id=?)"),
        ("COUNT_held_OF_TENANT", "deliveries_listed (tenant_id=? AND state=? AND job_id>?)"),
        ("COUNT_sending_OF_TENANT", "deliveries_leased (lease_expires_at>?)"),
        ("COUNT_dead_OF_TENANT", "INDEX deliveries_dead (tenant_id=?)"),
        ("COUNT_DEAD", "INDEX deliveries_dead (tenant_id>?)"),
        ("COUNT_held_DELIVERIES", "INDEX deliveries_held (conversation_id>?)"),
        ("COUNT_sending_DELIVERIES", "INDEX deliveries_leased"),
        ("MINUTES_OF_ACTIVITY", "PRIMARY KEY (tenant_id=? AND minute>?)"),
        ("DAY_OF_ACTIVITY", "PRIMARY KEY (tenant_id=? AND minute>?)"),
        ("PRUNE_ACTIVITY", "activity_age (minute<?)"),
        ("PROVIDER_REPORTS_OF_OTHERS", "provider_reports_age (seen_at>?)"),
        ("PRUNE_PROVIDER_REPORTS", "provider_reports_age (seen_at<?)"),
        ("PENDING_PAGE", "deliveries_ready (tenant_id=? AND (origin,run_at)>(?,?))"),
        ("DELIVERIES_OF_JOB", "deliveries_event (job_id=?)"),
        ("STORE_RESPONSE", "idempotency_records_key (tenant_id=? AND route=? AND key=?)"),
        ("PRUNE_RECORDS", "idempotency_records_age (updated_at<?)"),
    ],
)
async def test_a_hot_statement_uses_the_index_made_for_it(
    connection: sqlite3.Connection, name: str, index: str
) -> None:
    steps = plan(connection, HOT[name])

    assert any(index in step for step in steps), steps


@pytest.mark.parametrize(
    "name",
    [
        *("JOIN_CONVERSATION", "INSERT_JOB", "FINISH", "NOTIFY_URL", "LEAVE_CONVERSATION", "INSERT_ITEMS"),
        *("RELEASE_NEXT_JOB", "REPORT", "RELEASE_NEXT"),
    ],
)
async def test_a_statement_of_every_job_makes_no_table_for_itself(connection: sqlite3.Connection, name: str) -> None:
    for text in texts_of(HOT[name]):
        steps = connection.execute(f"EXPLAIN {text}", [None] * text.count("?"))
        assert "OpenEphemeral" not in [opcode for _, opcode, *_ in steps]
