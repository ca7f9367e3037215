"""Killed at random moments, again and again, the service loses nothing, repeats nothing it need not, keeps order."""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from world import Client, Pulse, at_rest, attempts, by_id, select, settings, sound

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Callback, Receiver
from answerback.testing.replies import Call
from answerback.testing.service import Service
from eventually import eventually

CONVERSATIONS = 100
MESSAGES = 10
KILLS = 24
LONGEST_LIFE = 60
"""The most accepts, LLM calls or callbacks between a start and the next kill."""

AHEAD = 3
"""How many messages a client sends before it hears the first one's answer."""

LEASE = 2.0
THINKING = 0.03
"""How long the LLM takes at most, in seconds."""


@dataclass(slots=True)
class Story:
    """All that was said and heard. `kills` are intervals in epoch milliseconds, `jobs` the job of each text."""

    kills: list[tuple[int, int]] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)

    def killed_between(self, start: int, end: int) -> bool:
        return any(start <= killed_by and killed_from <= end for killed_from, killed_by in self.kills)


def text_of(conversation: int, n: int) -> str:
    return f"conversation {conversation}, message {n}"


class Turmoil:
    """A service, its clients, and somebody who kills it."""

    def __init__(self, service: Service, client: Client, llm: FakeLLM, receiver: Receiver, rng: random.Random) -> None:
        self.story = Story()
        self._service = service
        self._client = client
        self._rng = rng
        self._pulse = Pulse()
        self._allowance = [asyncio.Semaphore(AHEAD) for _ in range(CONVERSATIONS)]
        self._heard: set[str] = set()
        llm.on(lambda _: True, self._think)
        for conversation in range(CONVERSATIONS):
            receiver.on(f"/{conversation}", self._take)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill_and_restart())
            for conversation in range(CONVERSATIONS):
                group.create_task(self._converse(conversation))
        await self._pulse.reach("answers", CONVERSATIONS * MESSAGES, patience=120)
        await eventually(lambda: at_rest(self._service.database), "everything delivered")

    async def _converse(self, conversation: int) -> None:
        for n in range(1, MESSAGES + 1):
            await self._allowance[conversation].acquire()
            text = text_of(conversation, n)
            accepted = await self._client.insist(text, session=str(conversation), key=f"{conversation}/{n}")
            assert accepted["seq"] == n
            self.story.jobs[text] = accepted["job_id"]
            self._pulse.beat("accepts")

    async def _kill_and_restart(self) -> None:
        for left in range(KILLS, 0, -1):
            await self._a_random_moment(left)
            self._client.up.clear()
            started = now_ms()
            await self._service.kill()
            self.story.kills.append((started, now_ms()))
            await self._service.start()
            self._client.up.set()

    async def _a_random_moment(self, kills_left: int) -> None:
        counts, total = self._pulse.counts, CONVERSATIONS * MESSAGES
        to_come = {"accepts": total - counts["accepts"]}
        to_come["calls"] = to_come["callbacks"] = total - counts["answers"]
        # So that work remains for the kills after this one.
        longest = {kind: min(LONGEST_LIFE, n // (kills_left + 1)) for kind, n in to_come.items()}
        kind = self._rng.choice([kind for kind, n in longest.items() if n > 0])
        await self._pulse.further(kind, self._rng.randint(1, longest[kind]))

    async def _think(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        self._pulse.beat("calls")
        # Each call has an answer of its own: a body that changed between two deliveries would show.
        answer = replies.say(f"answer {call.n} to {call.user}")
        return await replies.delayed(self._rng.uniform(0, THINKING), answer)(request, call)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self._pulse.beat("callbacks")
        if (webhook_id := request.headers["webhook-id"]) not in self._heard:
            self._heard.add(webhook_id)
            self._pulse.beat("answers")
            self._allowance[int(request.path[1:])].release()
        return web.Response()


def now_ms() -> int:
    return int(time.time() * 1000)


# A minute alone; with the whole suite beside it on two cores, several.
@pytest.mark.timeout(480)
async def test_nothing_is_lost_repeated_or_reordered_however_often_the_service_is_killed(
    llm: FakeLLM, receiver: Receiver, figures: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.randrange(10**6)))
    began = time.monotonic()
    service = Service(settings(llm, lease_seconds=LEASE, worker_concurrency=40, log_level="warning"))
    async with service, Client(service, receiver) as client:
        turmoil = Turmoil(service, client, llm, receiver, random.Random(seed))
        try:
            await turmoil.run()
        except BaseException:
            figures(f"CRASH_SEED={seed} repeats these moments")
            raise
        seen = await client.jobs()
        assert await service.terminate() == 0

        story = turmoil.story
        total = CONVERSATIONS * MESSAGES
        lost, poisoned = losses(service.database, story)
        extra = llm.total - total
        repeated = len(receiver.callbacks) - total
        figures(
            f"crash: seed {seed}, {len(story.kills)} kills, {total} messages in {CONVERSATIONS} conversations, "
            f"{client.lost} posts repeated, {sum(lost.values())} jobs caught in flight, {extra} extra LLM calls, "
            f"{repeated} callbacks repeated, {poisoned} poisoned, {time.monotonic() - began:.0f} s"
        )
        assert len(story.kills) >= 20
        assert len(story.jobs) == len(set(story.jobs.values())) == total

        assert {job["job_id"] for job in seen} == set(story.jobs.values())
        sound(service.database)
        every_answer_came_once_in_order_and_signed(story, receiver.callbacks)
        every_answer_knew_the_ones_before(story, receiver.callbacks, llm.calls)
        for text, job_id in story.jobs.items():
            assert llm.count(text) <= 1 + lost[job_id], text
        assert extra <= sum(lost.values())
        assert '"level":"error"' not in service.logs, service.logs


def losses(database: Path, story: Story) -> tuple[dict[str, int], int]:
    """How many crashes caught each job in flight, and how many jobs that poisoned.

    Asserts that no attempt of a job or a callback was lost without a crash, or repeated without a loss.
    """
    lost: dict[str, int] = defaultdict(int)
    statuses: dict[str, list[str]] = defaultdict(list)
    for attempt in attempts(database):
        statuses[attempt["of"]].append(attempt["status"])
        if attempt["status"] == "lost":
            assert story.killed_between(attempt["started_at"], attempt["finished_at"]), attempt
            lost[attempt["of"]] += 1
    poisoned = 0
    for job in select(database, "SELECT id, state, error ->> 'code' AS error_code FROM jobs"):
        if job["state"] == "completed":
            assert statuses[job["id"]] == ["lost"] * lost[job["id"]] + ["answered"]
        else:
            assert (job["state"], job["error_code"]) == ("failed", "poisoned"), job
            assert statuses[job["id"]] == ["lost"] * 3
            poisoned += 1
    for delivery in select(database, "SELECT id, job_id FROM deliveries"):
        assert statuses[delivery["id"]] == ["lost"] * lost[delivery["id"]] + ["delivered"]
    return {job_id: lost[job_id] for job_id in story.jobs.values()}, poisoned


def every_answer_came_once_in_order_and_signed(story: Story, callbacks: Sequence[Callback]) -> None:
    assert all(callback.verified for callback in callbacks)
    jobs: dict[Any, set[str | None]] = defaultdict(set)
    arrived: dict[Any, list[Any]] = defaultdict(list)
    for webhook_id, same in by_id(callbacks).items():
        assert len({callback.body for callback in same}) == 1, webhook_id
        body = same[0].json
        jobs[body["job_id"]].add(webhook_id)
        arrived[body["session_id"]].append((body["seq"], body["job_id"]))
    assert jobs.keys() == set(story.jobs.values())
    assert all(len(webhook_ids) == 1 for webhook_ids in jobs.values())
    for conversation in range(CONVERSATIONS):
        sent = [(n, story.jobs[text_of(conversation, n)]) for n in range(1, MESSAGES + 1)]
        assert arrived[str(conversation)] == sent


def every_answer_knew_the_ones_before(story: Story, callbacks: Sequence[Callback], calls: Sequence[Call]) -> None:
    bodies = {callback.json["job_id"]: callback.json for callback in callbacks}
    asked = {f"answer {call.n} to {call.user}": call for call in calls}
    for conversation in range(CONVERSATIONS):
        said: list[dict[str, str]] = []
        for n in range(1, MESSAGES + 1):
            text = text_of(conversation, n)
            answer = bodies[story.jobs[text]]["response"]
            if answer is None:
                continue  # poisoned: it said nothing that a later message could know
            said.append({"role": "user", "content": text})
            assert asked[answer].messages == said
            said.append({"role": "assistant", "content": answer})
