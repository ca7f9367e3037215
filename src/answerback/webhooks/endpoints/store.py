"""Endpoints in the database: each method is one transaction, and raises StorageUnavailable when the database cannot
serve it now."""

from collections.abc import Iterable, Sequence

from answerback.database.operation import Database
from answerback.webhooks.endpoints import operations as endpoints
from answerback.webhooks.endpoints.operations import Endpoint


class EndpointStore:
    """The endpoints of every tenant."""

    def __init__(self, database: Database) -> None:
        self._write = database.write.run
        self._read = database.read.run

    async def create(self, tenant_id: str, name: str, url: str, event_types: Iterable[str]) -> Endpoint:
        """Raises Conflict where the tenant has as many as it may."""
        return await self._write(
            lambda tx: endpoints.create(tx, tenant_id, name, url, event_types), tenant_id=tenant_id
        )

    async def get(self, tenant_id: str, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        return await self._read(lambda tx: endpoints.get(tx, tenant_id, endpoint_id), tenant_id=tenant_id)

    async def list(
        self, tenant_id: str, after: str | None, limit: int, *, newest_first: bool = True
    ) -> Sequence[Endpoint]:
        """By the time of creation; `after` is the last id of the page before."""
        return await self._read(
            lambda tx: endpoints.list_endpoints(tx, tenant_id, after, limit, newest_first=newest_first),
            tenant_id=tenant_id,
        )

    async def change(
        self,
        tenant_id: str,
        endpoint_id: str,
        name: str | None = None,
        url: str | None = None,
        event_types: Iterable[str] | None = None,
    ) -> Endpoint:
        """What is None stays. Raises NotFound."""
        return await self._write(
            lambda tx: endpoints.change(tx, tenant_id, endpoint_id, name, url, event_types), tenant_id=tenant_id
        )

    async def rotate_secret(self, tenant_id: str, endpoint_id: str, *, overlap: bool) -> Endpoint:
        """With a new secret; with an `overlap` the old one signs beside it for 24 h. Raises NotFound."""
        return await self._write(
            lambda tx: endpoints.rotate_secret(tx, tenant_id, endpoint_id, overlap=overlap), tenant_id=tenant_id
        )

    async def delete(self, tenant_id: str, endpoint_id: str) -> None:
        """Raises NotFound."""
        await self._write(lambda tx: endpoints.remove(tx, tenant_id, endpoint_id), tenant_id=tenant_id)
