"""Following the service from outside, as its operator and its clients could: log, callbacks, `GET /v1/jobs`."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import aiohttp

from answerback.demo.ledger import DemoError, Entry, Ledger, body_of
from answerback.demo.screen import Screen
from answerback.testing.receiver import Callback, Receiver
from answerback.testing.service import Service

POLL_SECONDS = 0.03
"""How often the log is read; a callback is seen immediately."""


class Watch:
    """Shows events as they happen, and records them. `client` talks to the service; `patience` in seconds bounds
    each wait."""

    def __init__(
        self,
        service: Service,
        receiver: Receiver,
        client: aiohttp.ClientSession,
        ledger: Ledger,
        screen: Screen,
        patience: float,
    ) -> None:
        self._service = service
        self._receiver = receiver
        self._client = client
        self._ledger = ledger
        self._screen = screen
        self._patience = patience
        self._answered: set[str] = set()
        self._log_read = 0
        self._callbacks_seen = 0

    async def post(self, conversation: str, text: str) -> None:
        """Sends a message. Raises DemoError when it is not accepted."""
        body = {
            "message": text,
            "callback_url": self._receiver.url(f"/{conversation}"),
            "session_id": conversation,
            "system": "Answer in one short sentence.",
        }
        async with self._client.post("/webhook", json=body) as response:
            reply = await response.json()
        if response.status != 202:
            raise DemoError(f"POST /webhook answered {response.status}: {reply.get('detail')}")
        entry = Entry(conversation, reply["seq"], text, reply["job_id"])
        self._ledger.add(entry)
        self._screen.step("accepted", entry.name, f'202  "{text}"')
        self.look()

    async def until(self, done: Callable[[], bool]) -> None:
        """Shows what happens until `done`. Raises DemoError when a message fails or patience ends."""
        try:
            async with asyncio.timeout(self._patience):
                while not self._finished(done):
                    await self._poll()
        except TimeoutError:
            raise DemoError(f"not done within {self._patience:g} s\n{self.log_tail()}") from None

    async def settle(self) -> None:
        """Fetches every message's record when its callback is delivered or dead. Raises DemoError."""
        try:
            async with asyncio.timeout(self._patience):
                for entry in self._ledger.entries:
                    while not await self._settled(entry):
                        await self._poll()
        except TimeoutError:
            raise DemoError(f"callbacks are still owed after {self._patience:g} s\n{self.log_tail()}") from None
        self.look()

    def look(self) -> None:
        """Records and shows new events, in the order in which they happened."""
        happened = [*self._new_lines(), *self._new_callbacks()]
        for _, show in sorted(happened, key=lambda each: each[0]):
            show()

    def log_tail(self) -> str:
        return "\n".join(self._service.logs.splitlines()[-8:])

    def _finished(self, done: Callable[[], bool]) -> bool:
        self.look()
        failed = self._ledger.failed
        if failed is not None:
            raise DemoError(f"{failed.name} was not answered: {failed.failure}")
        if not self._service.running:
            raise DemoError(f"the service ended by itself\n{self.log_tail()}")
        return done()

    async def _poll(self) -> None:
        with contextlib.suppress(TimeoutError):
            await self._receiver.wait_for(lambda came: len(came) > self._callbacks_seen, POLL_SECONDS)

    async def _settled(self, entry: Entry) -> bool:
        self.look()
        async with self._client.get(f"/v1/jobs/{entry.job_id}") as response:
            entry.record = await response.json()
        if response.status != 200:
            raise DemoError(f"GET /v1/jobs/{entry.job_id} answered {response.status}")
        delivery = entry.record["delivery"] if entry.record else None
        return delivery is not None and delivery["status"] in ("delivered", "dead")

    def _new_callbacks(self) -> Iterator[tuple[float, Callable[[], None]]]:
        new = self._receiver.callbacks[self._callbacks_seen :]
        self._callbacks_seen += len(new)
        for callback in new:
            yield callback.at, partial(self._show_callback, callback)

    def _new_lines(self) -> Iterator[tuple[float, Callable[[], None]]]:
        with self._service.log_path.open("rb") as log:
            log.seek(self._log_read)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._log_read += len(whole) + len(newline)
        for line in whole.splitlines():
            # A kill may leave half a line, and the next start's first one right behind it.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                event = json.loads(line)
                at = datetime.fromisoformat(event["time"]).timestamp()
                yield at, partial(self._show_event, at, event)

    def _show_callback(self, callback: Callback) -> None:
        entry = self._ledger.arrived(callback)
        if entry is None:
            return
        if len(entry.callbacks) > 1:
            same = "again, same webhook-id: drop it" if entry.repeated else "again, and NOT the same"
            self._screen.step("repeated", entry.name, same, callback.at)
            return
        if entry.failure is None:
            self._show_answered(entry, f"by {body_of(callback).get('model')}", callback.at)
        else:
            self._screen.step("failed", entry.name, entry.failure, callback.at)
        if callback.verified:
            answer = f": {entry.answer}" if entry.answer else ""
            self._screen.step("delivered", entry.name, f"signature verified{answer}", callback.at)
        else:
            self._screen.step("REFUSED", entry.name, "the signature does not match", callback.at)

    def _show_event(self, at: float, event: dict[str, Any]) -> None:
        entry = self._ledger.get(event.get("job"))
        match event["event"]:
            case "answered" if entry:
                self._show_answered(entry, f"by {event['model']} in {event['ms'] / 1000:.2f} s", at)
            case "delivered" if entry:
                entry.noted = True
            case "retry" if entry:
                words = f"asks again in {event['retry_in']:.0f} s; {event['code']}: {event['reason']}"
                self._screen.step("waiting", entry.name, words, at)
            case "delivery_retry" if entry:
                words = f"calls back again in {event['retry_in']:.1f} s; {event['reason']}"
                self._screen.step("waiting", entry.name, words, at)
            case "swept":
                words = _counted(event.get("jobs_requeued", 0), event.get("deliveries_requeued", 0))
                self._screen.step("recovered", "", f"{words} that the dead process had claimed", at)

    def _show_answered(self, entry: Entry, how: str, at: float) -> None:
        # A callback proves the answer: the log's line may come later, and after a kill it never comes.
        if entry.job_id not in self._answered:
            self._answered.add(entry.job_id)
            self._screen.step("answered", entry.name, how, at)


def _counted(calls: int, callbacks: int) -> str:
    counted = ((calls, "LLM call"), (callbacks, "callback"))
    return " and ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counted if count)
