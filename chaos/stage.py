"""One run on a fleet: a client, a receiver, the database's records, and the verdict."""

import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from answerback.testing import Receiver
from chaos.client import Client
from chaos.fleet import SECRET, Fleet
from chaos.inbox import Inbox
from chaos.judge import Record, endings, judge
from chaos.ledger import Ledger
from chaos.rate import WINDOW_SECONDS, Pace
from chaos.waiting import until

PATH = "/callback"
SETTLE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """All jobs of the run as the database has them, and the promises that were broken."""

    records: Sequence[Record]
    broken: Sequence[str]

    @property
    def said(self) -> str:
        return endings(self.records)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything of one run. `receiver` books at `PATH` and answers 200 there unless its script says otherwise."""

    fleet: Fleet
    ledger: Ledger
    inbox: Inbox
    receiver: Receiver
    client: Client

    @property
    def heard(self) -> int:
        """How many messages have been called back."""
        return len(self.ledger.first)

    async def reach(self, heard: int, patience: float = SETTLE_SECONDS) -> bool:
        """Waits until so many messages have been called back; whether that was within `patience` seconds."""

        async def enough() -> bool:
            return self.heard >= heard

        return await until(enough, patience) is not None

    async def settle(self, patience: float = SETTLE_SECONDS) -> Verdict:
        """Waits until every callback is delivered or dead, at most `patience` seconds, and judges."""

        async def settled() -> bool:
            return await self.fleet.books.settled(self.ledger.prefix)

        await self.reach(len(self.ledger.accepted), patience)
        await until(settled, patience)
        records = await self.fleet.books.records(self.ledger.prefix)
        return Verdict(records, judge(self.ledger, records))

    async def recover(self, pace: Pace, since: float, within: float) -> None:
        """Waits, under load, until the full rate is back after a fault at `since`, or has been missing for more than
        `within` seconds."""

        async def back() -> bool:
            return pace.back_after(self.inbox.times, since, time.monotonic()) is not None

        await until(back, max(0.0, since + within + WINDOW_SECONDS - time.monotonic()))

    def llm_calls(self) -> int:
        """How often the LLM was asked for messages of this run."""
        lines = self.fleet.llm_log.read_text().splitlines()
        return sum(json.loads(line)["user"].startswith(self.ledger.prefix) for line in lines)


@contextlib.asynccontextmanager
async def staged(fleet: Fleet) -> AsyncIterator[Stage]:
    ledger = Ledger(f"{secrets.token_hex(4)}-")
    inbox = Inbox(ledger, SECRET)
    async with Receiver() as receiver:
        receiver.on(PATH, inbox.take)
        api_urls = [api.url for api in fleet.apis]
        async with Client(api_urls, ledger, receiver.url(PATH)) as client:
            yield Stage(fleet, ledger, inbox, receiver, client)
