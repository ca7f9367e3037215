"""The count of open jobs, which bounds what is accepted."""

import asyncio
import threading
from pathlib import Path

import pytest

from answerback.database.operation import Operation
from answerback.jobs.model import Limits
from answerback.kernel.errors import Overloaded
from builders import accept, new_job
from databases import Database, SqliteDatabase
from stores import Stores

TWO = Limits(conversation_pending=10, queued_jobs=2, queued_jobs_per_tenant=10)


@pytest.fixture
def database(path: Path) -> Database:
    """SQLite, where one thread writes."""
    return SqliteDatabase(path)


async def test_a_count_that_takes_long_delays_no_write_and_misses_none(stores: Stores) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(_: object) -> Operation[None]:
        began.set()
        go_on.wait()
        yield from ()

    await accept(stores, session=None)
    counting = [asyncio.ensure_future(stores.database.count.run(slow)), asyncio.ensure_future(stores.jobs.count_open())]
    await asyncio.to_thread(began.wait)
    await stores.jobs.accept(new_job(session=None), TWO)
    with pytest.raises(Overloaded):
        await stores.jobs.accept(new_job(session=None), TWO)
    assert not counting[1].done()
    go_on.set()
    await asyncio.gather(*counting)

    assert stores.backlog.size() >= 2
    assert await stores.jobs.count_open() == stores.backlog.size() == 2


async def test_what_is_opened_during_a_count_is_added_to_it(stores: Stores) -> None:
    stores.backlog.begin_count()
    await accept(stores, session=None)

    stores.backlog.counted({"another": 5})

    assert (stores.backlog.size(), stores.backlog.size_of("another")) == (6, 5)
