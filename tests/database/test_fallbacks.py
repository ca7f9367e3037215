"""Groups of operations that have to run in a slower way: each shows in a counter, under the name of its batch plan."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

import answerback
from answerback.database.operation import BatchPlan, Operation, Runner, Transaction
from answerback.database.statement import Statement
from answerback.kernel.telemetry import Fallback
from answerback.observability.metrics import PrometheusMetrics
from answerback.testing.clock import FakeClock
from builders import accept
from databases import PostgresDatabase, SqliteDatabase
from fallbacks import Fallbacks
from stores import Stores

PUT = Statement("INSERT INTO clock VALUES (:name, 0, 0)")
BREAK = Statement("INSERT INTO clock VALUES (NULL, 0, 0)")
PLAN = BatchPlan((PUT, BREAK), "put")


def put(_: Transaction, name: str) -> Operation[None]:
    yield PUT(name=name)


def breaks(_: Transaction) -> Operation[None]:
    yield BREAK()


async def run_together(runner: Runner, plan: BatchPlan, *names: str, broken: bool = False) -> list[object]:
    """Puts the names, the first of them by itself: the others queue behind it and form a group."""
    operations = [runner.run(partial(put, name=name), plan) for name in ("first", *names)]
    operations += [runner.run(breaks, plan)] if broken else []
    return list(await asyncio.gather(*operations, return_exceptions=True))


@pytest.fixture
def expected() -> Fallbacks:
    """The counter of a store whose operations are made to meet."""
    return Fallbacks()


@pytest.fixture
async def write(postgres: PostgresDatabase, clock: FakeClock, expected: Fallbacks) -> AsyncIterator[Runner]:
    stores = await postgres.open(clock, metrics=expected)
    yield stores.database.write
    await stores.close()


async def names(database: PostgresDatabase | SqliteDatabase) -> list[str]:
    return [name for (name,) in await database.rows("SELECT boot_id FROM clock WHERE offset_ms = 0 ORDER BY 1")]


async def test_a_group_without_trouble_counts_nothing(
    write: Runner, postgres: PostgresDatabase, expected: Fallbacks
) -> None:
    await run_together(write, PLAN, "a", "b")

    assert await names(postgres) == ["a", "b", "first"]
    assert not expected.counted


async def test_a_statement_that_the_plan_lacks_is_counted_and_the_group_runs_sequentially(
    write: Runner, postgres: PostgresDatabase, expected: Fallbacks
) -> None:
    await run_together(write, BatchPlan((BREAK,), "incomplete"), "a", "b")

    assert await names(postgres) == ["a", "b", "first"]
    assert expected.counted == {("incomplete", Fallback.UNPLANNED_STATEMENT): 1}


async def test_a_broken_operation_is_counted_at_both_steps_and_the_others_end_alone(
    write: Runner, postgres: PostgresDatabase, expected: Fallbacks
) -> None:
    *_, broken = await run_together(write, PLAN, "a", "b", broken=True)

    assert isinstance(broken, asyncpg.IntegrityConstraintViolationError)
    assert await names(postgres) == ["a", "b", "first"]
    assert expected.counted == {("put", Fallback.SEQUENTIAL): 1, ("put", Fallback.ALONE): 1}


async def test_a_lock_that_another_transaction_holds_is_counted(
    write: Runner, postgres: PostgresDatabase, expected: Fallbacks
) -> None:
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute("INSERT INTO clock VALUES ('a', 1, 1)")
        group = [asyncio.create_task(write.run(partial(put, name=name), PLAN)) for name in ("first", "a", "b")]
        await group[2]
    await other.close()
    await asyncio.gather(*group, return_exceptions=True)

    assert expected.counted == {("put", Fallback.ALONE): 1}


async def test_a_broken_operation_on_sqlite_is_counted_and_the_others_end_alone(
    path: Path, clock: FakeClock, expected: Fallbacks
) -> None:
    database = SqliteDatabase(path)
    stores = await database.open(clock, metrics=expected)

    await run_together(stores.database.write, PLAN, "a", "b", broken=True)

    assert set(await names(database)) >= {"a", "b", "first"}
    assert expected.counted == {("put", Fallback.ALONE): 1}
    await stores.close()


async def test_operations_that_queue_take_no_fallback(stores: Stores, fallbacks: Fallbacks) -> None:
    await asyncio.gather(*(accept(stores, session=f"s{n % 20}") for n in range(200)))

    assert not fallbacks.counted


def test_a_fallback_shows_in_the_metrics() -> None:
    metrics = PrometheusMetrics()

    metrics.fell_back("accept", Fallback.SEQUENTIAL)

    line = b'answerback_database_fallbacks_total{fallback="sequential",plan="accept"} 1.0'
    assert line in metrics.exposition(None).splitlines()


def plans() -> Iterator[tuple[str, BatchPlan]]:
    for module in pkgutil.walk_packages(answerback.__path__, "answerback."):
        if not module.name.endswith(("__main__", "answerback.worker")):
            found = vars(importlib.import_module(module.name)).items()
            yield from ((f"{module.name}.{name}", each) for name, each in found if isinstance(each, BatchPlan))


def test_every_batch_plan_has_a_name_of_its_own() -> None:
    by_name: dict[str, BatchPlan] = {}
    for place, plan in plans():
        assert plan.name != "unnamed", place
        assert by_name.setdefault(plan.name, plan) == plan, place
