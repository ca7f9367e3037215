"""The database's records, read without the service."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from chaos.judge import Record

RECORDS = """
SELECT jobs.id, jobs.state, deliveries.id, deliveries.state, jobs.error::jsonb ->> 'code'
FROM jobs LEFT JOIN deliveries ON deliveries.job_id = jobs.id WHERE starts_with(jobs.idempotency_key, $1)
"""
UNSETTLED = """
SELECT count(*) FROM jobs LEFT JOIN deliveries ON deliveries.job_id = jobs.id
WHERE starts_with(jobs.idempotency_key, $1) AND coalesce(deliveries.state, '') NOT IN ('delivered', 'dead')
"""


class Books:
    """A new connection for each query: the server may have been killed since the last."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def records(self, prefix: str) -> list[Record]:
        """All jobs under keys with this prefix."""
        return [Record(*row) for row in await self.rows(RECORDS, prefix)]

    async def settled(self, prefix: str) -> bool:
        """Whether every callback of those jobs is delivered or dead."""
        return bool(await self.value(UNSETTLED, prefix) == 0)

    async def value(self, question: str, *parameters: object) -> Any:
        return (await self.rows(question, *parameters))[0][0]

    async def rows(self, statement: str, *parameters: object) -> Sequence[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            rows: Sequence[Any] = await connection.fetch(statement, *parameters, timeout=120)
        finally:
            await connection.close()
        return rows
