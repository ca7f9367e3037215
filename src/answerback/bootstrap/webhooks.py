"""What sends callbacks, and what tenants set, see and try of theirs."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from answerback.bootstrap.accounts import make_signing_secrets
from answerback.bootstrap.inbox import make_inbox
from answerback.bootstrap.lifetimes import opened
from answerback.bootstrap.stores import Stores
from answerback.inbox.inbox import Inbox
from answerback.inbox.sender import InboxSender
from answerback.kernel.instruments import Instruments
from answerback.queue.notifier import Notifier, Topic
from answerback.relay import bodies as relay
from answerback.reviews import bodies as reviews
from answerback.settings import Settings
from answerback.webhooks.deliver import Sender
from answerback.webhooks.endpoints.event_types import OPENAI_SAMPLES, EventTypes
from answerback.webhooks.endpoints.routes import Endpoints
from answerback.webhooks.endpoints.trial import Trial
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.receivers.routes import Receivers
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.sender import WebhookSender
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.signing.signer import Signer


@dataclass(frozen=True, slots=True)
class Webhooks:
    """`inbox` takes callbacks to the service itself, which `sender` sends without a connection."""

    secrets: SigningSecrets
    origins: CircuitBreakers
    guard: AddressGuard
    sender: Sender
    inbox: Inbox
    endpoints: Endpoints
    receivers: Receivers


async def make_webhooks(
    settings: Settings, stores: Stores, notifier: Notifier, instruments: Instruments, lifetimes: AsyncExitStack
) -> Webhooks:
    """Raises StorageUnavailable."""
    clock = instruments.clock
    origins = CircuitBreakers(clock.monotonic)

    def answers_again(tenant_id: str, origin: str | None) -> None:
        origins.answers_again(tenant_id, origin)
        notifier.wake(Topic.DELIVERIES)

    secrets = make_signing_secrets(settings, stores.database)
    await secrets.record()
    inbox = make_inbox(settings.public_base_url, stores, secrets)
    guard = AddressGuard(
        settings.callback_allowed_networks,
        settings.loopback_only,
        monotonic=clock.monotonic,
        slot_factor=settings.tenant_slot_factor,
        own_port=settings.app_port,
        own_host=settings.app_host,
        inboxes=inbox,
    )
    opened(guard, lifetimes)
    sender = opened(InboxSender(WebhookSender(guard, clock.now, settings.callback_timeout_seconds), inbox), lifetimes)
    trial, messages = Trial(sender, Signer(secrets, clock), clock.now, answers_again), relay.samples()
    types = EventTypes({**OPENAI_SAMPLES, **messages, **reviews.samples()})
    return Webhooks(
        secrets=secrets,
        origins=origins,
        guard=guard,
        sender=sender,
        inbox=inbox,
        endpoints=Endpoints(stores.endpoints, secrets, guard, trial, types),
        receivers=Receivers(stores.deliveries, guard, trial, messages["message.completed"]),
    )
