"""The service without its routes: everything that a job of the toy kind passes through, in one process."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from answerback.conversations.windows import DatabaseWindows
from answerback.database.clock_watch import ClockWatch
from answerback.jobs.canceller import Canceller
from answerback.jobs.engine import Engine
from answerback.jobs.job_queue import JobQueue
from answerback.jobs.kind import Claimed, Queue
from answerback.jobs.model import Accepted, Submission, Swept
from answerback.jobs.outcome import Outcome
from answerback.jobs.run import JobRunner
from answerback.jobs.submit import Submitter
from answerback.jobs.sweep import Sweep
from answerback.kernel.errors import CallbackRefused
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.kernel.shares import Shares, with_batch
from answerback.queue.birth import Births
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.pace import Pace
from answerback.queue.worker_pool import WorkerPool
from answerback.webhooks.birth import DeliveryBirths
from answerback.webhooks.deliver import Deliverer, Origins
from answerback.webhooks.delivery_queue import DeliveryQueue
from answerback.webhooks.sending.outcome import CallbackResponse
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.signing.signer import Signer
from builders import ROOMY, TENANT, URL, Journal, RealClock, StubOrigins, StubSender
from stores import Stores
from toy import EchoKind, Note


class SlowEcho(EchoKind):
    """Repeats what it is given, once `let_go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def run(self, claim: Claimed[Note]) -> Outcome:
        self.texts.append(claim.job.args.text)
        self.asked.set()
        await self.let_go.wait()
        return await super().run(claim)


class Mailbox(StubSender):
    """Takes every callback, and lets a test wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Condition()

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        response = await super().send(tenant_id, url, headers, body)
        async with self.came:
            self.came.notify_all()
        return response

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.sent]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self.came:
            await self.came.wait_for(condition)


class Guard:
    """Implements `UrlGuard`: open unless closed."""

    def __init__(self) -> None:
        self.closed = False
        self.asked: list[str] = []

    async def check(self, url: str, tenant_id: str) -> None:
        self.asked.append(url)
        if self.closed:
            raise CallbackRefused("callback_url leads inside")


class Shop:
    """`stores` must be on real time: the loops of the engine run on it."""

    def __init__(
        self,
        stores: Stores,
        concurrency: int = 100,
        lease: float = 60.0,
        origins: Origins | None = None,
        mailbox: Mailbox | None = None,
    ) -> None:
        self.stores = stores
        self.notifier = LocalNotifier()
        self.journal = Journal()
        self.mailbox = mailbox or Mailbox()
        instruments = Instruments(self.journal, RealClock())
        kind = stores.kinds.find("echo")
        assert isinstance(kind, SlowEcho)
        self.kind = kind
        windows = DatabaseWindows(stores.conversations)
        places = StubOrigins() if origins is None else origins
        deliverer = Deliverer(
            store=stores.deliveries,
            sender=self.mailbox,
            origins=places,
            signer=Signer(SigningSecrets(stores.database), instruments.clock),
            notifier=self.notifier,
            schedule=RetrySchedule((0.0, 5.0)),
            instruments=instruments,
        )

        async def recover_deliveries() -> Swept:
            return Swept(deliveries_requeued=await stores.deliveries.recover())

        self.sweep = Sweep(
            recoveries=(stores.jobs.recover, recover_deliveries),
            expiries=(stores.jobs.release_quarantined, stores.jobs.expire),
            rare=(),
            leapt=ClockWatch(stores.database, instruments.clock, lease / 4).leapt,
            notifier=self.notifier,
            lease_seconds=lease,
            instruments=instruments,
        )
        deliveries = WorkerPool(
            DeliveryQueue(stores.deliveries, deliverer, places, lease),
            self.notifier.deliveries,
            Shares(concurrency, 4.0),
            lease,
            instruments,
        )
        births = DeliveryBirths(Births(deliveries, stores.deliveries.unconfirmed), places, self.notifier)
        self.runner = JobRunner(stores.jobs, stores.kinds, self.notifier, windows, births, instruments)
        queue = JobQueue(stores.jobs, self.runner, stores.job_events.moves.moved, lease, instruments.log)
        interactive, batch = with_batch(concurrency, 4.0)
        jobs = WorkerPool(queue, self.notifier.jobs, interactive, lease, instruments)
        self.engine = Engine(
            jobs,
            Births(jobs, stores.jobs.unconfirmed),
            WorkerPool(
                JobQueue(stores.jobs, self.runner, stores.job_events.moves.moved, lease, instruments.log, Queue.BATCH),
                asyncio.Event(),
                batch,
                lease,
                instruments,
                jobs.may_have_room,
                Pace(jobs.started_lately),
            ),
            deliveries,
            self.sweep,
            self.notifier,
            instruments,
        )
        self.canceller = Canceller(stores.jobs, self.notifier, instruments)
        self.submitter = Submitter(
            stores.jobs, Guard(), self.notifier, ROOMY, 86_400.0, instruments, self.engine.births
        )

    async def submit(self, text: str = "hello", session: str | None = "s", key: str | None = None) -> Accepted:
        return await self.submitter.submit(Submission(self.kind, Note(text), TENANT, URL, session, key))

    async def close(self) -> None:
        self.kind.let_go.set()
        await self.engine.stop()
