"""Killed exactly at each failpoint, the service goes on as if nothing had been, and asks no more than it must."""

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from world import Client, at_rest, attempts_of, by_id, select, settings, sound

import answerback
from answerback.kernel.failpoints import Failpoint
from answerback.testing.faults import Fault
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from eventually import eventually

SOURCE = Path(answerback.__file__).parent

# What a crash there may cost: the attempts at the LLM, how often it is called, and how often the callback comes. An
# idle process claims a job as it accepts it: a crash right after that loses an attempt, which has asked nothing.
COSTS = [
    (Failpoint.AFTER_ACCEPT, ["lost", "answered"], 1, 1),
    (Failpoint.AFTER_CLAIM, ["lost", "answered"], 1, 1),
    (Failpoint.AFTER_ANSWER, ["lost", "answered"], 2, 1),
    (Failpoint.AFTER_FINISH, ["answered"], 1, 1),
    (Failpoint.BEFORE_CALLBACK, ["answered"], 1, 1),
    (Failpoint.AFTER_CALLBACK, ["answered"], 1, 2),
    (Failpoint.AFTER_DELIVERED, ["answered"], 1, 1),
]


def test_every_failpoint_is_tried_and_passed_in_one_place() -> None:
    passed = [
        Failpoint[name]
        for path in SOURCE.rglob("*.py")
        if "testing" not in path.parts
        for name in re.findall(r"failpoint\(Failpoint\.(\w+)\)", path.read_text())
    ]
    assert [failpoint for failpoint, *_ in COSTS] == list(Failpoint)
    assert sorted(passed) == sorted(Failpoint)


@pytest.mark.parametrize(("failpoint", "attempts", "calls", "callbacks"), COSTS, ids=[cost[0].value for cost in COSTS])
async def test_a_crash_at_a_failpoint_costs_no_more_than_it_must(
    failpoint: Failpoint, attempts: list[str], calls: int, callbacks: int, llm: FakeLLM, receiver: Receiver
) -> None:
    service = Service(settings(llm), fault=Fault(failpoint))
    async with service, Client(service, receiver) as client:
        client.up.clear()
        asking = asyncio.create_task(insist_after_a_loss(client, "first"))
        assert await service.exited() == -signal.SIGKILL
        stored = select(service.database, "SELECT id FROM jobs")

        await service.start()
        client.up.set()
        first = await asking
        second = await client.accepted("second")
        arrived = await receiver.wait_for(lambda came: len(by_id(came)) == 2)
        await eventually(lambda: at_rest(service.database), "both delivered")

        assert [{"id": first["job_id"]}] == stored
        assert (first["seq"], second["seq"]) == (1, 2)
        assert (llm.count("first"), llm.count("second")) == (calls, 1)
        assert attempts_of(service.database, first["job_id"]) == attempts
        said = [message["content"] for message in llm.calls[-1].messages]
        assert said == ["first", arrived[0].json["response"], "second"]
        assert [each.json["job_id"] for each in arrived] == [first["job_id"]] * callbacks + [second["job_id"]]
        assert [len(same) for same in by_id(arrived).values()] == [callbacks, 1]
        assert all(len({each.body for each in same}) == 1 for same in by_id(arrived).values())
        assert all(each.verified and each.json["status"] == "completed" for each in arrived)
        sound(service.database)


async def insist_after_a_loss(client: Client, text: str) -> dict[str, Any]:
    """Posts once, and again once the service is back if the answer was lost; the key makes it the same message."""
    key = f"key of {text}"
    try:
        return dict(await client.accepted(text, key=key))
    except (aiohttp.ClientError, ConnectionError):
        return dict(await client.insist(text, session="s", key=key))


async def test_the_client_whose_202_was_lost_hears_it_when_it_asks_again(llm: FakeLLM, receiver: Receiver) -> None:
    service = Service(settings(llm), fault=Fault(Failpoint.AFTER_ACCEPT))
    async with service, Client(service, receiver) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.post("hello", key="mine")
        await service.exited()
        await service.start()

        status, again, headers = await client.post("hello", key="mine")
        other, _, _ = await client.post("goodbye", key="mine")

        assert (status, headers["Idempotent-Replayed"]) == (202, "true")
        assert other == 409
        (callback,) = await receiver.wait_for(1)
        assert callback.json["job_id"] == again["job_id"]
        assert llm.total == 1
