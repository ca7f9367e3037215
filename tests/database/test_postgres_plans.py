"""The indexes that PostgreSQL uses for the statements that a busy service executes all the time."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from answerback.database.postgres.session import IN_TRANSACTION
from databases import own_database
from generic_plans import AT_ONCE, plan
from hot_statements import HOT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connection(postgres_server: str) -> AsyncIterator[Any]:
    """To a database with the schema, and without the statistics that other tests' rows leave behind."""
    with own_database(postgres_server) as database:
        # Without statements of its own on the server, all that are prepared there can be forgotten.
        connection = await asyncpg.connect(database.url, statement_cache_size=0)
        yield connection
        await connection.close()


@pytest_asyncio.fixture(loop_scope="module")
async def planner(connection: Any) -> AsyncIterator[Any]:
    """The connection in a transaction with the runner's settings, of which nothing stays."""
    await connection.execute(f"BEGIN; {IN_TRANSACTION}")
    yield connection
    await connection.execute("ROLLBACK")
    await connection.execute("DEALLOCATE ALL")


@pytest.mark.parametrize("name", HOT)
async def test_no_hot_statement_reads_a_whole_table(planner: Any, name: str) -> None:
    found = await plan(planner, name)

    assert "Seq Scan" not in found, found
    assert "Parallel" not in found, found


@pytest.mark.parametrize("name", AT_ONCE)
async def test_a_statement_of_a_group_finds_each_row_by_its_key(planner: Any, name: str) -> None:
    """In the order of the group, which is that in which every transaction locks rows."""
    found = await plan(planner, name, of_group=True)

    assert "Seq Scan" not in found, found
    if found.startswith("Update"):
        first, second = (line.strip() for line in found.splitlines()[2:4])
        assert (first.startswith("->  Function Scan on"), "_pkey on" in second) == (True, True), found


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("FIND_BY_KEY", "jobs_idempotency"),
        ("FIND_RETRY", "jobs_retry"),
        ("FIND_RESPONSE", "jobs_pkey"),
        ("MANY_RESPONSES", "jobs_pkey"),
        ("SIZES_OF_RESPONSES", "jobs_pkey"),
        ("ERASE_RESPONSE", "jobs_pkey"),
        ("DISCARD_RESPONSE", "jobs_pkey"),
        ("RELEASE_KEY_OF_RESPONSE", "jobs_pkey"),
        ("ERASE_UNSTORED", "jobs_transient"),
        ("LOOK_AT_JOB", "jobs_pkey"),
        ("TAKE_EARLIER", "jobs_tried"),
        ("DUE", "jobs_scheduled"),
        ("FIRST_OF_TENANT", "jobs_scheduled_of_tenant"),
        ("SCHEDULED_TENANTS", "jobs_scheduled_of_tenant"),
        ("PROMOTE", "jobs_pkey"),
        ("PROMOTE", "jobs_ready_of_tenant"),
        ("INSERT_JOB", "jobs_ready_of_tenant"),
        ("INSERT_JOB", "jobs_running"),
        ("CLAIM_JOBS", "jobs_ready"),
        ("CLAIM_OF_TENANT", "jobs_ready_of_tenant"),
        ("WALK_TENANTS", "jobs_ready_of_tenant"),
        ("NEXT_SCHEDULED", "jobs_scheduled"),
        ("NEXT_QUEUED", "jobs_ready"),
        ("RELEASE_UNCONFIRMED_JOBS", "jobs_running"),
        ("RELEASE_NEXT_JOB", "jobs_held"),
        ("RELEASE_NEXT_JOB", "jobs_head"),
        ("LOST_JOBS", "jobs_leased"),
        ("RELEASE_QUARANTINED", "jobs_quarantined"),
        ("RELEASE_QUARANTINED", "jobs_on_probation"),
        ("UNANSWERED_JOBS", "jobs_awaiting"),
        ("OVERDUE_JOBS", "jobs_deadline"),
        ("OLD_JOBS", "jobs_finished"),
        ("OLD_JOBS", "deliveries_event"),
        ("PRUNE_CONVERSATIONS", "conversations_idle"),
        ("PRUNE_CONVERSATIONS", "jobs_conversation"),
        ("ENDED_OF", "jobs_conversation"),
        ("TENANTS_WITH_JOBS", "jobs_listed"),
        ("KINDS_OF_TENANT", "jobs_listed"),
        ("LIST_OF_TENANT", "jobs_listed"),
        ("LIST_ENDED_OF_CONVERSATION", "jobs_conversation"),
        ("LIST_HELD_OF_CONVERSATION", "jobs_held_listed"),
        ("HEAD_OF_CONVERSATION", "jobs_head"),
        ("LISTED_JOBS", "jobs_pkey"),
        ("LISTED_FACTS", "jobs_pkey"),
        ("LISTED_OF_MODEL", "jobs_pkey"),
        ("LISTED_FAILING", "jobs_pkey"),
        ("HELD_AHEAD", "jobs_held"),
        ("LIST_BY_DELIVERY", "deliveries_listed"),
        ("LIST_SENDING", "deliveries_leased"),
        ("WAITING_AT_RECEIVERS", "deliveries_ready"),
        ("HELD_AT_RECEIVERS", "deliveries_listed"),
        ("DEAD_AT_RECEIVERS", "deliveries_dead"),
        ("DELIVERED_AT_RECEIVERS", "deliveries_listed"),
        ("TO_ENDPOINTS_AT_RECEIVERS", "deliveries_of_endpoints"),
        ("DUE_FIRST_AT_RECEIVERS", "deliveries_ready"),
        ("DUE_LAST_AT_RECEIVERS", "deliveries_ready"),
        ("UNREACHED_FIRST_AT_RECEIVERS", "deliveries_unreached"),
        ("OWN_DELIVERIES", "deliveries_event"),
        ("OWN_DELIVERIES", "deliveries_order"),
        ("ERASE_BODIES", "jobs_conversation"),
        ("REMEMBERED", "conversation_items_pkey"),
        ("FIND_CONVERSATION", "conversations_key"),
        ("RECENT_CONVERSATIONS", "conversations_recent"),
        ("RECENT_CONVERSATIONS_OF_ALL", "conversations_idle"),
        ("WALK", "deliveries_ready"),
        ("ROUND", "deliveries_ready"),
        ("CLAIM_DUE", "deliveries_ready"),
        ("CLAIM_PROBE", "deliveries_ready"),
        ("CLAIM_PROBE", "deliveries_unreached"),
        ("CLAIM_UNREACHED", "deliveries_unreached"),
        ("NEXT_HERE", "deliveries_ready"),
        ("NOTIFY_URL", "deliveries_order"),
        ("NOTIFY_ENDPOINTS", "webhook_subscriptions_pkey"),
        ("RELEASE_NEXT", "deliveries_held"),
        ("RELEASE_NEXT", "deliveries_order"),
        ("FIND_LOST", "deliveries_leased"),
        ("FIND_OVERDUE", "deliveries_deadline"),
        ("DEAD_PAGE", "deliveries_dead"),
        ("PENDING_PAGE", "deliveries_ready"),
        ("COUNT_OF_TENANT", "jobs_listed"),
        ("NEXT_QUEUED_OF_TENANT", "jobs_ready_of_tenant"),
        ("COUNT_pending_OF_TENANT", "deliveries_ready"),
        ("COUNT_sending_OF_TENANT", "deliveries_leased"),
        ("COUNT_dead_OF_TENANT", "deliveries_dead"),
        ("COUNT_DEAD", "deliveries_dead"),
        ("COUNT_held_DELIVERIES", "deliveries_held"),
        ("COUNT_sending_DELIVERIES", "deliveries_leased"),
        ("MINUTES_OF_ACTIVITY", "activity_pkey"),
        ("DAY_OF_ACTIVITY", "activity_pkey"),
        ("PRUNE_ACTIVITY", "activity_age"),
        ("PROVIDER_REPORTS_OF_OTHERS", "provider_reports_age"),
        ("PRUNE_PROVIDER_REPORTS", "provider_reports_age"),
        ("DELIVERIES_OF_JOB", "deliveries_event"),
        # By its id, however empty some partial index looks at the moment.
        ("FINISH", "jobs_pkey"),
        ("END_OPEN", "jobs_pkey"),
        ("END_LOST", "jobs_pkey"),
        ("PUT_OFF_ATTEMPTED", "jobs_pkey"),
        ("HAND_OVER", "jobs_pkey"),
        ("EXTEND_JOB", "jobs_pkey"),
        ("RELEASE_JOB", "jobs_pkey"),
        ("TAKE_BACK_JOB", "jobs_pkey"),
        ("PRUNE_JOB", "jobs_pkey"),
        ("REPORT", "deliveries_pkey"),
        ("EXTEND", "deliveries_pkey"),
    ],
)
async def test_a_hot_statement_uses_the_index_made_for_it(planner: Any, name: str, index: str) -> None:
    found = await plan(planner, name)

    assert f"using {index} on" in found, found


async def test_the_delivery_of_a_probe_is_locked_by_its_id(planner: Any) -> None:
    """And not by the index of what is pending, which may be a backlog."""
    found = await plan(planner, "CLAIM_PROBE")

    assert found.count("using deliveries_pkey on") == 2, found


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("CLAIM_JOBS", "jobs_ready"),
        ("DUE", "jobs_scheduled"),
        ("FIRST_OF_TENANT", "jobs_scheduled_of_tenant"),
        ("WALK", "deliveries_ready"),
        ("ROUND", "deliveries_ready"),
        ("CLAIM_DUE", "deliveries_ready"),
        ("NEXT_HERE", "deliveries_ready"),
    ],
)
async def test_no_other_index_finds_what_waits(planner: Any, name: str, index: str) -> None:
    """With statistics of an emptier hour, PostgreSQL would choose another one, and read the whole backlog by it."""
    await planner.execute("SET LOCAL enable_seqscan = off")
    await planner.execute(f"DROP INDEX {index}")

    found = await plan(planner, name)

    assert "Seq Scan" in found, found
