"""Every room's store over one database."""

from dataclasses import dataclass

from answerback.accounts.store import AccountStore
from answerback.ask.store import QuestionStore
from answerback.conversations.store import ConversationStore
from answerback.database.operation import Database
from answerback.database.service_secrets import ServiceSecrets
from answerback.http.idempotency_store import IdempotencyStore
from answerback.inbox.store import InboxStore
from answerback.jobs.events import JobEvents
from answerback.overview.store import OverviewStore
from answerback.responses.conversations.store import ConversationLog
from answerback.responses.stored.store import ResponseStore
from answerback.webhooks.endpoints.store import EndpointStore
from answerback.webhooks.store import DeliveryStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that need no registry of kinds; `JobStore` does."""

    database: Database
    accounts: AccountStore
    conversations: ConversationStore
    deliveries: DeliveryStore
    endpoints: EndpointStore
    idempotency: IdempotencyStore
    job_events: JobEvents
    questions: QuestionStore
    responses: ResponseStore
    conversation_log: ConversationLog
    service_secrets: ServiceSecrets
    overview: OverviewStore
    inbox: InboxStore


def make_stores(database: Database) -> Stores:
    return Stores(
        database=database,
        accounts=AccountStore(database),
        conversations=ConversationStore(database),
        deliveries=DeliveryStore(database),
        endpoints=EndpointStore(database),
        idempotency=IdempotencyStore(database),
        job_events=JobEvents(database),
        questions=QuestionStore(database),
        responses=ResponseStore(database),
        conversation_log=ConversationLog(database),
        service_secrets=ServiceSecrets(database),
        overview=OverviewStore(database),
        inbox=InboxStore(database),
    )
