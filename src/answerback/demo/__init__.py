"""`answerback demo`: the real service, watched from outside while it is killed and started again."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping

import aiohttp
from pydantic import SecretStr

from answerback.demo.ledger import Check, DemoError, Ledger, names
from answerback.demo.screen import Screen
from answerback.demo.watch import Watch
from answerback.domain.signature import new_secret
from answerback.settings import Settings
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
"""The settings that say which LLM answers; the rest of the demo's service is the demo's own."""
ANSWER_WITHIN = 300.0
PATIENCE = ANSWER_WITHIN + 30.0


def run(settings: Settings) -> int:
    """Returns the exit code: 0 when every promise was kept before our eyes, 1 when not."""
    screen = Screen()
    try:
        return asyncio.run(_main(settings, screen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.say("\nStopped: the service is gone, its folder too.")
        return 130
    except ServiceError as error:
        screen.error(f"the service did not start: {error}")
    except DemoError as error:
        screen.error(str(error))
        if not settings.mock:
            screen.say("Without an LLM: MOCK_MODE=true answerback demo")
    except (aiohttp.ClientError, OSError) as error:
        screen.error(f"the demo broke off: {error or type(error).__name__}")
    return 1


async def _main(settings: Settings, screen: Screen) -> int:
    _end_like_ctrl_c(signal.SIGTERM)
    screen.say("Answerback demo: the real service, killed in the middle of its work, loses nothing.", "bold")
    screen.say(f"Provider: {provider(settings)}")
    screen.chapter("1. Start the service and a receiver of callbacks")
    secret = new_secret()
    async with Receiver(secret) as receiver, Service(environment(settings, secret)) as service:
        screen.step("started", "service", f"{service.url}, process {service.pid}")
        screen.step("", "", f"SQLite in {service.folder} (removed at the end)")
        screen.step("started", "receiver", f"{receiver.url('')}, checks every signature")
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(service.url, timeout=timeout) as client:
            ledger = Ledger()
            watch = Watch(service, receiver, client, ledger, screen)
            checks = [await _converse(watch, ledger, screen)]
            checks.append(await _kill(service, watch, ledger, screen))
            await _recover(service, watch, ledger, screen)
    return _conclude(checks + ledger.checks(), ledger, settings, screen)


async def _converse(watch: Watch, ledger: Ledger, screen: Screen) -> Check:
    screen.chapter("2. Two conversations at once, through POST /webhook")
    for conversation, text in FIRST:
        await watch.post(conversation, text)
    await watch.until(lambda: not ledger.unanswered, PATIENCE)
    forgotten = []
    for entry in ledger.entries:
        if entry.seq != 2:
            continue
        fact = REMEMBERED[entry.conversation]
        if fact.casefold() in (entry.answer or "").casefold():
            screen.step("remembered", entry.name, f'the answer knows "{fact}" from {entry.conversation} 1')
        else:
            forgotten.append(entry)
    if forgotten:
        return Check(False, f"the answer does not show that it knew the message before: {names(forgotten)}")
    return Check(True, "the second answers knew the first messages")


async def _kill(service: Service, watch: Watch, ledger: Ledger, screen: Screen) -> Check:
    screen.chapter("3. Six more messages, and kill -9 as soon as the first of them is answered")
    for conversation, text in FURTHER:
        await watch.post(conversation, text)
    total = len(ledger.entries)
    await watch.until(lambda: len(ledger.unanswered) < len(FURTHER), PATIENCE)
    pid = service.pid
    await service.kill()
    watch.look()
    in_flight = ledger.unanswered
    screen.step("KILLED", "service", f"kill -9 of process {pid}; accepted {total}, delivered {total - len(in_flight)}")
    screen.step("in flight", "", names(in_flight) or "nothing")
    if not in_flight:
        return Check(False, "nothing was in flight when the service was killed; run the demo again")
    return Check(True, f"{len(in_flight)} messages were in flight at the kill, none was lost")


async def _recover(service: Service, watch: Watch, ledger: Ledger, screen: Screen) -> None:
    screen.chapter("4. Start it again on the same database; nothing is sent again")
    await service.start()
    screen.step("started", "service", f"{service.url}, process {service.pid}")
    await watch.until(lambda: not ledger.unanswered, PATIENCE)
    await watch.settle(PATIENCE)


def _conclude(checks: list[Check], ledger: Ledger, settings: Settings, screen: Screen) -> int:
    screen.chapter("5. What became of every accepted message")
    screen.table(ledger.entries)
    screen.notes(ledger.entries)
    screen.checks(checks)
    if not all(check.kept for check in checks):
        screen.error("a promise was not kept; see above")
        return 1
    url = f"http://localhost:{settings.app_port}"
    key = " -H \"Authorization: Bearer $AUTH_TOKEN\"" if settings.auth_token else ""
    screen.chapter("Try it yourself")
    screen.say("  make run")
    screen.say(f"  curl {url}/webhook{key} -H 'Content-Type: application/json' \\")
    screen.say("""    -d '{"message": "Hello!", "callback_url": "http://localhost:9000/"}'""")
    screen.say(f"  curl {url}/v1/jobs{key}")
    return 0


def provider(settings: Settings) -> str:
    """Which LLM answers, and why if it is none."""
    if not settings.mock:
        return f"{settings.provider_base_url}, model {settings.default_model}"
    why = "MOCK_MODE is set" if settings.mock_mode else "set OPENROUTER_API_KEY for a real LLM"
    return f"mock, no LLM is asked ({why})"


def environment(settings: Settings, secret: str) -> Mapping[str, str]:
    """The settings of the demo's service: the caller's LLM, short times, a secret of its own."""
    chosen = {
        "CALLBACK_HMAC_SECRET": secret,
        "CALLBACK_BACKOFF_SECONDS": "0.5",
        "LEASE_SECONDS": "2",
        "JOB_DEADLINE_SECONDS": f"{ANSWER_WITHIN:g}",
    }
    if settings.mock:
        return {**chosen, "MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0.3"}
    for name in PROVIDER:
        value = getattr(settings, name)
        if value is not None:
            chosen[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return chosen


def _end_like_ctrl_c(number: signal.Signals) -> None:
    task = asyncio.current_task()
    if task is not None:
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
