"""The inbox of every tenant."""

from collections.abc import Sequence
from contextlib import suppress

from answerback.bootstrap.stores import Stores
from answerback.inbox.inbox import Inbox
from answerback.inbox.tokens import InboxTokens
from answerback.kernel.errors import NotFound
from answerback.webhooks.endpoints.operations import MAX_ENDPOINTS
from answerback.webhooks.signing.secrets import SigningSecrets


def make_inbox(base_url: str, stores: Stores, secrets: SigningSecrets) -> Inbox:
    async def secrets_of(tenant_id: str, url: str) -> Sequence[str]:
        endpoints = await stores.endpoints.list(tenant_id, None, MAX_ENDPOINTS)
        found = [each.value for each in await secrets.live(tenant_id)]
        for endpoint in endpoints:
            if endpoint.url == url:
                # It may be deleted meanwhile.
                with suppress(NotFound):
                    found += [each.value for each in await secrets.live(endpoint.id)]
        return found

    return Inbox(stores.inbox, InboxTokens(stores.service_secrets), base_url, secrets_of)
