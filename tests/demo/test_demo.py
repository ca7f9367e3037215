"""The demo as a newcomer runs it: in an empty folder, watched from outside; and its judgement of what it saw."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from answerback import demo
from answerback.demo.ledger import Entry, Ledger
from answerback.demo.screen import WIDTH, Screen, plain
from answerback.settings import Settings
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Callback
from answerback.testing.replies import Call

KEY = "sk-or-never-to-be-shown"


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def steps(self) -> list[str]:
        """Each step as `what who`."""
        return [" ".join(found) for found in re.findall(r"^ +[\d.]+ s  (\S+) +(\w+ ?\d*)", self.out, re.MULTILINE)]

    @property
    def pids(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"^ .*started .*process (\d+)$", self.out, re.MULTILINE)]


class Stage:
    """An empty working directory, a temporary folder of its own, an environment with nothing in it."""

    def __init__(self, root: Path) -> None:
        self.cwd, self.temporary = root / "cwd", root / "tmp"
        self.cwd.mkdir()
        self.temporary.mkdir()

    async def start(self, settings: Mapping[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "answerback", "demo"),
            cwd=self.cwd,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.temporary), **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, **settings: str) -> Ran:
        process = await self.start(settings)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    def assert_clean(self, ran: Ran) -> None:
        assert ran.pids
        for pid in ran.pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert list(self.temporary.iterdir()) == []
        assert list(self.cwd.iterdir()) == []


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def recall() -> replies.Reply:
    """Answers with everything the user has said so far."""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        said = " / ".join(message["content"] for message in call.messages if message["role"] == "user")
        return await replies.say(said)(request, call)

    return reply


class TestDemo:
    async def test_shows_every_step_of_every_message_and_what_became_of_it(self, stage: Stage) -> None:
        ran = await stage.run()

        assert (ran.code, ran.err) == (0, "")
        names = [f"{conversation} {seq}" for conversation in ("alice", "bob") for seq in range(1, 6)]
        for name in names:
            places = [ran.steps.index(f"{what} {name}") for what in ("accepted", "answered", "delivered")]
            assert places == sorted(places)
        assert ran.out.count("signature verified: You said:") == 10
        assert "Provider: mock" in ran.out
        assert '"My favourite colour is teal."' in next(x for x in ran.out.splitlines() if "remembered alice 2" in x)
        assert "remembered bob 2" in ran.steps
        assert re.search(r"KILLED .*kill -9 of process \d+: 10 accepted, \d delivered", ran.out)
        assert re.search(r"in flight +[1-6] +\w+ \d", ran.out)
        assert "recovered" in ran.out
        assert len(set(ran.pids)) == 2
        assert "alice's answers arrived in order: 1 2 3 4 5" in ran.out
        assert "bob's answers arrived in order: 1 2 3 4 5" in ran.out
        assert "10 messages accepted, 10 answered, each once" in ran.out
        assert "FAILED" not in ran.out
        words = ran.out.partition("Try it yourself")[2]
        assert re.search(r"answerback listen 9000\n.*answerback serve\n *curl http://127.0.0.1:8080/webhook ", words)
        assert max(map(len, ran.out.splitlines())) <= WIDTH
        assert "\x1b" not in ran.out
        stage.assert_clean(ran)

    async def test_asks_the_configured_provider_and_says_which(self, stage: Stage) -> None:
        async with FakeLLM(default=recall()) as llm:
            ran = await stage.run(OPENROUTER_BASE_URL=llm.base_url, OPENROUTER_API_KEY=KEY, LLM_MODEL="tiny/model")

            assert (ran.code, ran.err) == (0, "")
            assert f"Provider: {llm.base_url}, model tiny/model" in ran.out
            assert llm.total >= 10
            assert {call.model for call in llm.calls} == {"tiny/model"}
        assert "10 messages accepted, 10 answered, each once" in ran.out
        assert KEY not in ran.out
        stage.assert_clean(ran)

    async def test_an_llm_that_forgets_is_shown_to_forget(self, stage: Stage) -> None:
        async with FakeLLM(default=replies.say("I could not say.")) as llm:
            ran = await stage.run(OPENROUTER_BASE_URL=llm.base_url, OPENROUTER_API_KEY=KEY)

        assert ran.code == 1
        assert re.search(r"FAILED  the answer does not show that it knew .*: alice 2, bob 2", ran.out)
        assert "a promise was not kept" in ran.err
        stage.assert_clean(ran)

    async def test_a_refused_key_is_shown_as_the_callback_says_it(self, stage: Stage) -> None:
        async with FakeLLM(default=replies.status(401)) as llm:
            ran = await stage.run(OPENROUTER_BASE_URL=llm.base_url, OPENROUTER_API_KEY=KEY)

        assert ran.code == 1
        assert re.search(r"failed +\w+ 1 +upstream_auth: ", ran.out)
        assert re.match(r"answerback demo: \w+ 1 was not answered: upstream_auth: ", ran.err)
        assert "MOCK_MODE=true" in ran.out
        assert KEY not in ran.out + ran.err
        stage.assert_clean(ran)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_a_signal_ends_it_and_everything_it_started(self, stage: Stage, number: signal.Signals) -> None:
        async with FakeLLM(default=replies.hang()) as llm:
            process = await stage.start({"OPENROUTER_BASE_URL": llm.base_url})
            assert process.stdout is not None
            await llm.wait_for_calls(1, timeout=60)
            process.send_signal(number)
            out, err = await process.communicate()

        assert (process.returncode, err) == (130, b"")
        assert b"Stopped." in out
        stage.assert_clean(Ran(130, out.decode(), ""))

    def test_a_service_that_does_not_start_is_one_clear_line_and_its_log(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(demo, "environment", lambda *_: {"LEASE_SECONDS": "soon"})

        assert demo.run(Settings(_env_file=None)) == 1

        err = capsys.readouterr().err
        assert err.startswith("answerback demo: the service did not start: ended with code 2")
        assert "LEASE_SECONDS" in err


def entry(seq: int, conversation: str = "alice") -> Entry:
    return Entry(conversation, seq, "Hello?", f"job_{conversation}_{seq}")


def callback(of: Entry, webhook_id: str | None = None, verified: bool = True, **changes: Any) -> Callback:
    body = {"job_id": of.job_id, "status": "completed", "response": "Hello!", "model": "m", **changes}
    return Callback(
        path="/",
        target="/",
        headers={"webhook-id": webhook_id or f"msg_{of.job_id}"},
        body=json.dumps(body).encode(),
        at=0.0,
        verified=verified,
    )


def record(*llm_calls: str, delivery: str = "delivered") -> dict[str, Any]:
    return {"attempts": [{"status": status} for status in llm_calls], "delivery": {"status": delivery}}


@pytest.fixture
def ledger() -> Ledger:
    """Two messages accepted, answered, on record; their callbacks are yet to arrive."""
    ledger = Ledger()
    for seq in (1, 2):
        ledger.add(entry(seq))
    for each in ledger.entries:
        each.record = record("answered")
    return ledger


class TestLedger:
    def broken(self, ledger: Ledger) -> list[str]:
        return [check.text for check in ledger.checks() if not check.kept]

    def test_all_promises_kept(self, ledger: Ledger) -> None:
        for each in ledger.entries:
            ledger.arrived(callback(each))

        assert self.broken(ledger) == []

    def test_a_repeated_callback_counts_once(self, ledger: Ledger) -> None:
        first, second = ledger.entries
        for each in (first, second, first):
            ledger.arrived(callback(each))

        assert self.broken(ledger) == []
        assert first.repeated

    def test_two_webhook_ids_are_two_answers(self, ledger: Ledger) -> None:
        first, second = ledger.entries
        for each in (callback(first), callback(first, "msg_other"), callback(second)):
            ledger.arrived(each)

        assert self.broken(ledger) == ["not answered exactly once: alice 1"]

    def test_one_webhook_id_with_two_bodies_are_two_answers(self, ledger: Ledger) -> None:
        first, second = ledger.entries
        for each in (callback(first), callback(first, response="Goodbye!"), callback(second)):
            ledger.arrived(each)

        assert self.broken(ledger) == ["not answered exactly once: alice 1"]

    def test_no_answer_is_not_one(self, ledger: Ledger) -> None:
        ledger.arrived(callback(ledger.entries[0]))

        assert self.broken(ledger) == ["not answered exactly once: alice 2", "alice's answers arrived out of order: 1"]

    def test_order_is_that_of_arrival(self, ledger: Ledger) -> None:
        for each in reversed(ledger.entries):
            ledger.arrived(callback(each))

        assert self.broken(ledger) == ["alice's answers arrived out of order: 2 1"]

    def test_a_wrong_signature_an_open_delivery_and_a_second_answer_are_named(self, ledger: Ledger) -> None:
        first, second = ledger.entries
        ledger.arrived(callback(first, verified=False))
        ledger.arrived(callback(second))
        first.record, second.record = record("answered", "answered"), record("answered", delivery="dead")

        assert self.broken(ledger) == [
            "not answered exactly once: alice 1",
            "a signature does not match: alice 1",
            "not on record as delivered: alice 2",
        ]

    @pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"job_id": "job_of_others"}'])
    def test_callbacks_for_unknown_jobs_are_counted(self, ledger: Ledger, body: bytes) -> None:
        for each in ledger.entries:
            ledger.arrived(callback(each))
        stray = Callback(path="/", target="/", headers={}, body=body, at=0.0, verified=False)

        assert ledger.arrived(stray) is None

        assert self.broken(ledger) == ["callbacks for messages that were never accepted: 1"]

    def test_a_failure_is_shown_with_its_code(self, ledger: Ledger) -> None:
        error = {"code": "upstream_credit", "message": "no credit left"}
        first = ledger.arrived(callback(ledger.entries[0], status="failed", response=None, error=error))

        assert first is not None
        assert ledger.failed is first
        assert first.failure == "upstream_credit: no credit left"


class TestScreen:
    def test_what_a_model_wrote_moves_no_cursor(self) -> None:
        assert plain("red \x1b[31malert\n\tto you\x07") == "red [31malert to you"

    def test_what_the_kill_repeated_is_explained(self, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
        first, second = ledger.entries
        for each in (first, first, second):
            ledger.arrived(callback(each))
        second.record = record("lost", "answered")

        Screen().table(ledger.entries)
        Screen().notes(ledger.entries)

        out = capsys.readouterr().out
        assert "Delivered twice with one webhook-id: alice 1." in out
        assert "Asked again, as the kill cut the LLM off: alice 2." in out
        assert re.search(r"alice 1 +Hello! +1 +1 +2 +yes", out)
        assert re.search(r"alice 2 +Hello! +2 +1 +1 +yes", out)
