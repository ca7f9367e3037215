"""Webhook endpoints, what they may subscribe to, and trying receivers."""

from answerback.bootstrap.stores import Stores
from answerback.kernel.clock import Clock
from answerback.relay import bodies as relay
from answerback.reviews import bodies as reviews
from answerback.webhooks.deliver import Sender
from answerback.webhooks.endpoint_routes import Endpoints
from answerback.webhooks.endpoint_trial import EndpointTrial
from answerback.webhooks.event_types import OPENAI_SAMPLES, EventTypes
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.receiver_routes import Receivers
from answerback.webhooks.receiver_trial import ReceiverTrial
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.signer import Signer


def make_endpoints(
    stores: Stores, secrets: SigningSecrets, guard: AddressGuard, sender: Sender, clock: Clock
) -> Endpoints:
    return Endpoints(
        store=stores.deliveries,
        secrets=secrets,
        guard=guard,
        trial=EndpointTrial(sender, Signer(secrets, clock), clock.now),
        types=EventTypes({**OPENAI_SAMPLES, **relay.samples(), **reviews.samples()}),
    )


def make_receivers(
    stores: Stores, secrets: SigningSecrets, guard: AddressGuard, sender: Sender, clock: Clock
) -> Receivers:
    sample = relay.samples()["message.completed"]
    return Receivers(stores.deliveries, guard, ReceiverTrial(sender, Signer(secrets, clock), clock.now, sample))
