"""A worker that was frozen past its lease has lost its claim: whatever it still holds in its hands is not written."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from world import Client, at_rest, attempts_of, logged, opened, process_state, settings, snapshot, sound

from answerback.kernel.failpoints import Failpoint
from answerback.testing import behaviours, replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from eventually import eventually

DISCARDED = ("stale_result_discarded", "stale_delivery_discarded", "lease_lost", "lease_not_kept")

# The service, frozen by itself between an answer and its commit, where no signal from outside could be aimed. It waits
# for a commit of its database thread, which may have begun the next one: thawed while the file is there, it freezes
# itself again.
PAUSING = """
import contextlib, os, pathlib, signal, sqlite3, sys
from answerback.bootstrap.server import serve
from answerback.settings import load_settings

def failpoint(passed):
    while passed == sys.argv[1] and pathlib.Path("freezes").exists():
        with contextlib.closing(sqlite3.connect("answerback.db")) as connection:
            connection.execute("BEGIN IMMEDIATE")
        os.kill(os.getpid(), signal.SIGSTOP)

sys.exit(serve(load_settings(), failpoint=failpoint))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pausing.py").write_text(PAUSING)
    (tmp_path / "freezes").touch()
    return tmp_path


async def frozen(service: Service) -> None:
    """Waits until the process is frozen, but not inside a commit: the whole database would wait for it."""
    await eventually(lambda: process_state(service.pid) == "T", "frozen")
    while not lockable(service.database):
        service.cont()
        await eventually(lambda: process_state(service.pid) == "T", "frozen again")


async def freeze(service: Service) -> None:
    """Freezes the process, but not inside a commit."""
    while True:
        service.stop()
        await eventually(lambda: process_state(service.pid) == "T", "frozen")
        if lockable(service.database):
            return
        service.cont()


def lockable(database: Path) -> bool:
    with opened(database) as connection, contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return True
    return False


@contextlib.asynccontextmanager
async def successor(of: Service, llm: FakeLLM) -> AsyncIterator[Service]:
    """A second process on the same database."""
    async with Service(settings(llm, database_url=f"sqlite:///{of.database}")) as service:
        yield service


async def thawed_it_writes_nothing(service: Service) -> None:
    before = snapshot(service.database)

    (service.folder / "freezes").unlink(missing_ok=True)
    service.cont()
    await eventually(lambda: logged(service, *DISCARDED), "the thawed process sees that it is late")

    assert await service.terminate() == 0
    assert snapshot(service.database) == before
    sound(service.database)


async def test_a_frozen_call_is_taken_over_and_its_late_answer_discarded(llm: FakeLLM, receiver: Receiver) -> None:
    release = asyncio.Event()
    llm.on("hello", replies.hang(release, replies.say("from the frozen")), replies.say("from the successor"))
    first = Service(settings(llm))
    async with first, Client(first, receiver) as client:
        job_id = (await client.accepted("hello"))["job_id"]
        await llm.wait_for_calls(1)
        async with successor(first, llm):
            await freeze(first)
            await llm.wait_for_calls(2)
            await receiver.wait_for(1)
            await eventually(lambda: at_rest(first.database), "delivered by the successor")
            release.set()

            await thawed_it_writes_nothing(first)

        (callback,) = receiver.callbacks
        assert callback.json["response"] == "from the successor"
        assert attempts_of(first.database, job_id) == ["lost", "answered"]
        assert llm.total == 2


async def test_an_answer_in_the_hands_of_a_frozen_process_is_discarded(
    llm: FakeLLM, receiver: Receiver, folder: Path
) -> None:
    llm.on("hello", replies.say("from the frozen"), replies.say("from the successor"))
    first = Service(settings(llm), folder=folder, module=("pausing", Failpoint.AFTER_ANSWER))
    async with first, Client(first, receiver) as client:
        job_id = (await client.accepted("hello"))["job_id"]
        await frozen(first)
        async with successor(first, llm):
            await receiver.wait_for(1)
            await eventually(lambda: at_rest(first.database), "delivered by the successor")

            await thawed_it_writes_nothing(first)

        (callback,) = receiver.callbacks
        assert callback.json["response"] == "from the successor"
        assert [line["job"] for line in logged(first, "stale_result_discarded")] == [job_id]
        assert attempts_of(first.database, job_id) == ["lost", "answered"]


async def test_a_frozen_callback_is_sent_again_under_its_id_and_recorded_once(llm: FakeLLM, receiver: Receiver) -> None:
    release = asyncio.Event()
    receiver.on("/s", behaviours.delayed(release), behaviours.status(200))
    first = Service(settings(llm))
    async with first, Client(first, receiver) as client:
        await client.accepted("hello")
        await receiver.wait_for(1)
        async with successor(first, llm):
            await freeze(first)
            await receiver.wait_for(2)
            await eventually(lambda: at_rest(first.database), "delivered by the successor")
            release.set()

            await thawed_it_writes_nothing(first)

        held, repeated = receiver.callbacks
        assert (held.id, held.body) == (repeated.id, repeated.body)
        assert held.verified
        assert repeated.verified
        assert attempts_of(first.database, str(held.id)) == ["lost", "delivered"]
        assert llm.total == 1


async def test_a_callback_that_a_frozen_process_has_made_is_recorded_by_its_successor_alone(
    llm: FakeLLM, receiver: Receiver, folder: Path
) -> None:
    first = Service(settings(llm), folder=folder, module=("pausing", Failpoint.AFTER_CALLBACK))
    async with first, Client(first, receiver) as client:
        await client.accepted("hello")
        await frozen(first)
        async with successor(first, llm):
            await receiver.wait_for(2)
            await eventually(lambda: at_rest(first.database), "delivered by the successor")

            await thawed_it_writes_nothing(first)

        held, repeated = receiver.callbacks
        assert (held.id, held.body) == (repeated.id, repeated.body)
        assert [line["delivery"] for line in logged(first, "stale_delivery_discarded")] == [held.id]
        assert attempts_of(first.database, str(held.id)) == ["lost", "delivered"]
