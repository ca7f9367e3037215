"""Every room's store over one database, with the toy kind as the only kind of job."""

from dataclasses import dataclass, field

from answerback.accounts.store import AccountStore
from answerback.ask.store import QuestionStore
from answerback.conversations.store import ConversationStore
from answerback.database.operation import Database, Transaction
from answerback.database.service_secrets import ServiceSecrets
from answerback.http.idempotency_store import IdempotencyStore
from answerback.inbox.store import InboxStore
from answerback.jobs.backlog import Backlog
from answerback.jobs.events import JobEvents
from answerback.jobs.kind import Registry
from answerback.jobs.store import JobStore
from answerback.overview.activity import Activity
from answerback.overview.store import OverviewStore
from answerback.responses.conversations.store import ConversationLog
from answerback.responses.stored.store import ResponseStore
from answerback.webhooks.endpoints.store import EndpointStore
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.store import DeliveryStore
from toy import EchoKind


@dataclass(frozen=True, slots=True)
class Stores:
    database: Database
    backlog: Backlog
    kinds: Registry
    jobs: JobStore
    job_events: JobEvents
    deliveries: DeliveryStore
    endpoints: EndpointStore
    conversations: ConversationStore
    accounts: AccountStore
    secrets: SigningSecrets
    questions: QuestionStore
    responses: ResponseStore
    conversation_log: ConversationLog
    idempotency: IdempotencyStore
    service_secrets: ServiceSecrets
    activity: Activity
    overview: OverviewStore
    inbox: InboxStore

    async def close(self) -> None:
        await self.jobs.close()
        await self.database.close()


@dataclass(frozen=True, slots=True)
class Commits:
    """What counts the transactions that commit."""

    backlog: Backlog = field(default_factory=Backlog)
    activity: Activity = field(default_factory=lambda: Activity(lambda: 0))

    def committed(self, transaction: Transaction) -> None:
        self.backlog.committed(transaction)
        self.activity.committed(transaction)


async def make_stores(database: Database, commits: Commits, kinds: Registry | None = None) -> Stores:
    """`commits` count what the database commits."""
    registry = kinds or Registry([EchoKind()])
    stores = Stores(
        database=database,
        backlog=commits.backlog,
        kinds=registry,
        jobs=JobStore(database, registry, commits.backlog),
        job_events=JobEvents(database),
        deliveries=DeliveryStore(database),
        endpoints=EndpointStore(database),
        conversations=ConversationStore(database),
        accounts=AccountStore(database),
        secrets=SigningSecrets(database),
        questions=QuestionStore(database),
        responses=ResponseStore(database),
        conversation_log=ConversationLog(database),
        idempotency=IdempotencyStore(database),
        service_secrets=ServiceSecrets(database),
        activity=commits.activity,
        overview=OverviewStore(database),
        inbox=InboxStore(database),
    )
    try:
        await stores.jobs.count_open()
    except BaseException:
        await stores.close()
        raise
    return stores
