"""Taking callbacks in, each with a verdict on its signature."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from answerback.inbox.model import MAX_BODY, Received, Verdict, job_in, shown_headers
from answerback.inbox.store import InboxStore
from answerback.inbox.tokens import InboxTokens
from answerback.kernel.signature import is_signed

PATH = "/inbox/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{44,500}")

SecretsOf: TypeAlias = Callable[[str, str], Awaitable[Sequence[str]]]
"""The secrets that may sign what a tenant receives at a URL."""


class Inbox:
    """The inboxes of all tenants, whose addresses begin with `base_url`."""

    def __init__(self, store: InboxStore, tokens: InboxTokens, base_url: str, secrets_of: SecretsOf) -> None:
        self._store = store
        self._tokens = tokens
        self._prefix = base_url.rstrip("/") + PATH
        self._plain_prefix = _plain(self._prefix)
        self._secrets_of = secrets_of

    async def address(self, tenant_id: str) -> str:
        """The tenant's, which stays the same. Raises StorageUnavailable."""
        return self._prefix + await self._tokens.token(tenant_id)

    def is_address(self, url: str) -> bool:
        """Whether it is that of an inbox, by its form. No request is ever made to such an address."""
        return self.token_in(url) is not None

    async def exists(self, url: str) -> bool:
        """Whether it is that of a tenant's inbox. Raises StorageUnavailable."""
        token = self.token_in(url)
        return token is not None and await self.has(token)

    async def has(self, token: str) -> bool:
        """Whether the token is that of a tenant's inbox. Raises StorageUnavailable."""
        return await self._tokens.tenant_of(token) is not None

    def is_own(self, url: str) -> bool:
        """Whether it leads to the inboxes, spelt as `address` has it or otherwise."""
        return _plain(url).startswith(self._plain_prefix)

    def token_in(self, url: str) -> str | None:
        """The token of an inbox's address; None for any other URL."""
        token = url.removeprefix(self._prefix)
        return token if url.startswith(self._prefix) and _TOKEN.fullmatch(token) else None

    async def receive(self, token: str, headers: Mapping[str, str], body: bytes) -> bool:
        """False for a token that is nobody's. Raises StorageUnavailable."""
        tenant_id = await self._tokens.tenant_of(token)
        if tenant_id is None:
            return False
        shown = shown_headers(headers)
        verdict = await self._verdict(tenant_id, self._prefix + token, shown, body)
        await self._store.add(tenant_id, Received("", 0, shown, body[:MAX_BODY], len(body), verdict, job_in(body)))
        return True

    async def _verdict(self, tenant_id: str, url: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        if "webhook-signature" not in headers:
            return Verdict.MISSING
        secrets = await self._secrets_of(tenant_id, url)
        return Verdict.VERIFIED if is_signed(headers, body, secrets) else Verdict.WRONG


@lru_cache(maxsize=1024)
def _plain(url: str) -> str:
    """An HTTP URL with its host in lower case, its port, and nothing escaped, without its query."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{(parts.hostname or '').rstrip('.')}:{port}{unquote(parts.path)}"
