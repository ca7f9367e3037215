"""How PostgreSQL reads lists from tables that are filled and analyzed, as its own statistics have it."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from answerback.database.postgres import texts
from answerback.database.postgres.session import IN_TRANSACTION
from databases import PostgresDatabase, own_database
from generic_plans import plan
from hot_statements import HOT

ROWS = 20_000
FILL = f"""
INSERT INTO conversations (id, tenant_id, key, last_position, pending, erased_through, window_from, created_at,
                           updated_at)
SELECT n, 'tenant-' || n % 3, 'key ' || n, 1, 0, 0, 0, 1, 1 FROM generate_series(1, 200) AS n;
INSERT INTO jobs (id, tenant_id, kind, queue, priority, rank, state, run_at, deadline_at, conversation_id, position,
                  args, attempts, attempts_made, attempt, lease_epoch, lease_losses, created_at, finished_at)
SELECT 'job_' || lpad(to_hex(n), 32, '0'), 'tenant-' || n % 3, CASE WHEN n % 10 = 0 THEN 'review' ELSE 'message' END,
       'interactive', 0, n, state, n, n, CASE WHEN state <> 'queued' THEN n % 200 + 1 END, n, repeat('x', 300),
       '[]', 0, 0, 0, 0, n, CASE WHEN state IN ('completed', 'failed') THEN n END
FROM (SELECT n, CASE WHEN n < {ROWS // 2} THEN CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END
                     WHEN n % 20 = 0 THEN 'held' ELSE 'queued' END AS state
      FROM generate_series(1, {ROWS}) AS n) AS numbered;
INSERT INTO deliveries (id, job_id, event_type, destination, tenant_id, conversation_id, position, url, origin, state,
                        run_at, attempt, attempts, attempts_made, lease_epoch, lease_expires_at, deadline_at,
                        created_at, body)
SELECT 'msg_' || rank, id, 'done', 'url_' || rank, tenant_id, conversation_id, position, 'https://receiver.example/',
       'https://receiver.example:443', (array['pending', 'delivered', 'delivered', 'dead', 'held'])[rank % 5 + 1],
       rank, 0, '[]', 0, 0, NULL, rank, rank, 'x'
FROM jobs WHERE finished_at IS NOT NULL;
INSERT INTO questions (tenant_id, question, answer, finish_reason, created_at)
SELECT 'tenant-' || n % 3, 'what?', 'that', 'stop', n FROM generate_series(1, {ROWS // 10}) AS n;
ANALYZE;
"""


@pytest.fixture(scope="module")
def server_database(postgres_server: str) -> Iterator[PostgresDatabase]:
    with own_database(postgres_server) as database:
        yield database


@pytest.fixture
async def filled(server_database: PostgresDatabase) -> AsyncIterator[Any]:
    """A connection in a transaction, with the planner as the server sets it up."""
    connection = await asyncpg.connect(server_database.url)
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM jobs)"):
        await connection.execute(FILL)
    await connection.execute("BEGIN")
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    yield connection
    await connection.close()


@pytest.mark.parametrize("as_the_runner", [False, True])
@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("TENANTS_WITH_JOBS", "jobs_listed"),
        ("KINDS_OF_TENANT", "jobs_listed"),
        ("LIST_OF_TENANT", "jobs_listed"),
        ("LIST_ENDED_OF_CONVERSATION", "jobs_conversation"),
        ("LIST_HELD_OF_CONVERSATION", "jobs_held_listed"),
        ("HEAD_OF_CONVERSATION", "jobs_head"),
        ("LISTED_JOBS", "jobs_pkey"),
        ("LISTED_FACTS", "jobs_pkey"),
        ("LIST_BY_DELIVERY", "deliveries_listed"),
        ("LIST_AMONG_JOBS", "deliveries_listed"),
        ("LIST_SENDING", "deliveries_leased"),
        ("OWN_DELIVERIES", "deliveries_event"),
        ("OWN_DELIVERIES", "deliveries_order"),
        ("SIZES_OF_QUESTIONS", "questions_tenant"),
    ],
)
async def test_a_list_reads_its_index_in_order(filled: Any, name: str, index: str, as_the_runner: bool) -> None:
    if as_the_runner:
        await filled.execute(IN_TRANSACTION)

    found = await plan(filled, name)

    assert f"using {index} on" in found, found
    assert "Seq Scan" not in found, found
    assert "Sort" not in found, found


@pytest.mark.parametrize(
    "name", ["OLD_JOBS", "ORPHANED_JOBS", "ORPHANED_DELIVERIES", "PRUNE_CONVERSATIONS", "PRUNE_KEPT_ITEMS"]
)
async def test_a_sweep_compares_no_row_with_all_of_another_table(filled: Any, name: str) -> None:
    """By statistics from when nothing waited."""
    await filled.execute(IN_TRANSACTION)
    await filled.execute("UPDATE jobs SET state = 'completed', finished_at = 1; ANALYZE jobs")
    await filled.execute("UPDATE deliveries SET state = 'delivered', conversation_id = NULL; ANALYZE deliveries")

    found = await plan(filled, name)

    assert "SubPlan" in found, found
    assert "Join" not in found, found


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("COUNT_OF_TENANT", "jobs_listed"),
        ("COUNT_held_OF_TENANT", "deliveries_listed"),
        ("COUNT_pending_OF_TENANT", "deliveries_ready"),
        ("COUNT_dead_OF_TENANT", "deliveries_dead"),
    ],
)
async def test_a_count_reads_what_it_counts(filled: Any, name: str, index: str) -> None:
    await filled.execute(IN_TRANSACTION)

    found = await plan(filled, name)

    assert f" on {index}" in found or f"using {index} on" in found, found
    assert "Seq Scan" not in found, found


@pytest.mark.parametrize("name", ["HELD_AT_RECEIVERS", "COUNT_held_OF_TENANT"])
async def test_what_is_held_is_read_of_its_tenant_alone(filled: Any, name: str) -> None:
    """By statistics from when next to nothing was held."""
    await filled.execute(IN_TRANSACTION)
    await filled.execute("UPDATE deliveries SET state = 'delivered', conversation_id = NULL WHERE state = 'held'")
    await filled.execute("ANALYZE deliveries")

    found = await plan(filled, name)

    assert "using deliveries_listed on" in found, found
    assert "tenant_id = " in found.partition("Index Cond: ")[2].partition("\n")[0], found


async def test_a_list_reads_nothing_of_other_states_where_it_finds_none(filled: Any) -> None:
    """`zzz` sorts behind all states that there are: a scan that did not end with its range would read them."""
    await filled.execute(f"PREPARE listing AS {texts.plain(HOT['LIST_OF_TENANT']).text}")

    found = await filled.fetchval(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE listing('tenant-1', 'message', 'zzz', 'jobz', '', 20)"
    )

    (explained,) = json.loads(found)
    assert explained["Plan"]["Actual Rows"] == 0
    assert explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"] < 10, found
