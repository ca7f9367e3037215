"""`answerback demo`: the real service, watched from outside while it is killed and started again."""

import asyncio
import signal
from collections.abc import Mapping

import aiohttp
from pydantic import SecretStr

from answerback.cli.first_steps import first_steps
from answerback.demo.ledger import Check, DemoError, Entry, Ledger, names
from answerback.demo.screen import Screen
from answerback.demo.watch import Watch
from answerback.kernel.signature import new_secret
from answerback.settings import Settings
from answerback.testing import behaviours
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service, ServiceError

FIRST = (
    ("alice", "My favourite colour is teal."),
    ("bob", "My dog is called Biscuit."),
    ("alice", "What is my favourite colour?"),
    ("bob", "What is my dog called?"),
)
REMEMBERED = {"alice": "teal", "bob": "Biscuit"}
"""What only the first message of a conversation says, and the answer to its second must."""
FURTHER = (
    ("alice", "Name a flower in that colour."),
    ("bob", "What may he eat?"),
    ("alice", "Name a fish in that colour."),
    ("bob", "How far should we walk?"),
    ("alice", "What does that colour go with?"),
    ("bob", "Find him a second name."),
)
PROVIDER = (
    "openrouter_base_url",
    "openrouter_api_key",
    "openai_base_url",
    "openai_api_key",
    "llm_model",
    "llm_timeout_seconds",
    "connection_timeout",
)
"""The settings that say which LLM answers; the demo sets all others itself."""
LEASE_SECONDS = 2


def run(settings: Settings) -> int:
    """Returns the exit code: 0 when every promise was kept, 1 when not."""
    screen = Screen()
    try:
        return asyncio.run(_main(settings, screen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.say("\nStopped. The service is gone, and so is its folder.")
        return 130
    except ServiceError as error:
        screen.error(f"the service did not start: {error}")
    except DemoError as error:
        screen.error(str(error))
        if not settings.mock:
            screen.say("The same without an LLM: MOCK_MODE=true answerback demo")
    except (aiohttp.ClientError, OSError) as error:
        screen.error(f"the demo broke off: {error or type(error).__name__}")
    return 1


async def _main(settings: Settings, screen: Screen) -> int:
    _end_as_on_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    screen.say("Answerback demo: the real service, killed in the middle of its work, loses nothing.", "bold")
    screen.say(f"Provider: {provider(settings)}")
    screen.chapter("1. Start the service, and a receiver of callbacks")
    secret, ledger = new_secret(), Ledger()
    async with Receiver(secret) as receiver:
        screen.step("started", "receiver", f"{receiver.url('')}, checks every signature")
        async with Service(environment(settings, secret)) as service:
            screen.step("started", "service", f"{service.url}, process {service.pid}")
            screen.step("", "", f"SQLite in {service.folder} (removed at the end)")
            async with aiohttp.ClientSession(service.url, timeout=aiohttp.ClientTimeout(total=30)) as client:
                patience = _answer_within(settings) + 30
                watch = Watch(service, receiver, client, ledger, screen, patience)
                checks = [await _converse(watch, ledger, screen)]
                killed = _hold_last(receiver)
                checks.append(await _kill(service, watch, ledger, screen))
                killed.set()
                await _recover(service, watch, ledger, screen)
    return _conclude(checks + ledger.checks(), ledger, settings, screen)


async def _converse(watch: Watch, ledger: Ledger, screen: Screen) -> Check:
    screen.chapter("2. Two conversations at once, through POST /webhook")
    for conversation, text in FIRST:
        await watch.post(conversation, text)
    await watch.until(lambda: not ledger.unanswered)
    second = [entry for entry in ledger.entries if entry.seq == 2]
    for entry in second:
        if quote := _recalled(entry):
            screen.step("remembered", entry.name, f"knows {entry.conversation} 1: {quote}")
    forgotten = [entry for entry in second if not _recalled(entry)]
    if forgotten:
        return Check(kept=False, text=f"the answer does not show that it knew the message before: {names(forgotten)}")
    return Check(kept=True, text="the second answers knew the first messages")


def _recalled(entry: Entry) -> str:
    """The part of the answer that repeats what only an earlier message had said; empty when there is none."""
    answer, fact = entry.answer or "", REMEMBERED[entry.conversation]
    at = answer.casefold().find(fact.casefold())
    if at < 0:
        return ""
    start, end = max(0, at - 36), at + len(fact) + 10
    return f"{'…' if start else ''}{answer[start:end]}{'…' if end < len(answer) else ''}"


def _hold_last(receiver: Receiver) -> asyncio.Event:
    """Holds each conversation's last callback until the event is set, so that no LLM is quicker than the kill."""
    killed, ok = asyncio.Event(), behaviours.status(200)
    for conversation in REMEMBERED:
        before = sum(name == conversation for name, _ in FURTHER) - 1
        receiver.on(f"/{conversation}", *[ok] * before, behaviours.delayed(killed))
    return killed


async def _kill(service: Service, watch: Watch, ledger: Ledger, screen: Screen) -> Check:
    screen.chapter("3. Six more messages, and kill -9 after the first of them is delivered")
    for conversation, text in FURTHER:
        await watch.post(conversation, text)

    def halfway() -> bool:
        # Best when no callback is under way at that moment; but the kill must come before all are delivered.
        left = len(ledger.unanswered)
        return left <= len(FURTHER) // 2 or (left < len(FURTHER) and len(ledger.undelivered) == left)

    await watch.until(halfway)
    total, pid = len(ledger.entries), service.pid
    await service.kill()
    watch.look()
    in_flight = ledger.undelivered
    screen.step("KILLED", "service", f"kill -9 of process {pid}: {total} accepted, {total - len(in_flight)} delivered")
    screen.step("in flight", str(len(in_flight)), names(in_flight))
    if not in_flight:
        return Check(kept=False, text="nothing was in flight when the service was killed; run the demo again")
    return Check(kept=True, text=f"{len(in_flight)} messages were in flight at the kill, and none was lost")


async def _recover(service: Service, watch: Watch, ledger: Ledger, screen: Screen) -> None:
    screen.chapter("4. Start it again on the same database; no client sends anything again")
    await service.start()
    screen.step("started", "service", f"{service.url}, process {service.pid}")
    screen.step("", "", f"what the dead process had claimed is free when its lease expires ({LEASE_SECONDS} s)")
    await watch.until(lambda: not ledger.unanswered)
    await watch.settle()


def _conclude(checks: list[Check], ledger: Ledger, settings: Settings, screen: Screen) -> int:
    screen.chapter("5. What happened to every accepted message")
    screen.table(ledger.entries)
    screen.notes(ledger.entries)
    screen.checks(checks)
    if not all(check.kept for check in checks):
        screen.error("a promise was not kept; see above")
        return 1
    screen.chapter("Try it yourself, each in a terminal")
    for step in first_steps(settings):
        screen.command(step)
    screen.say("The receiver shows the answer and that its signature is valid; GET /v1/jobs/{job_id} has it too.")
    return 0


def provider(settings: Settings) -> str:
    """Which LLM answers; for the mock, why it is the mock."""
    if not settings.mock:
        return f"{settings.provider_base_url}, model {settings.default_model}"
    why = "MOCK_MODE is set" if settings.mock_mode else "set OPENROUTER_API_KEY for a real one"
    return f"mock, no LLM is asked ({why})"


def environment(settings: Settings, secret: str) -> Mapping[str, str]:
    """The settings of the demo's service: the caller's LLM, short times, a secret of its own."""
    chosen = {
        "CALLBACK_HMAC_SECRET": secret,
        "CALLBACK_BACKOFF_SECONDS": "0.5",
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "JOB_DEADLINE_SECONDS": f"{_answer_within(settings):g}",
    }
    if settings.mock:
        return {**chosen, "MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0.3"}
    for name in PROVIDER:
        value = getattr(settings, name)
        if value is not None:
            chosen[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return chosen


def _answer_within(settings: Settings) -> float:
    """Seconds. A real LLM may be slow, or limit the rate for a minute."""
    return 60.0 if settings.mock else 120.0


def _end_as_on_ctrl_c(*numbers: signal.Signals) -> None:
    task = asyncio.current_task()
    for number in numbers:
        if task is not None and signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
