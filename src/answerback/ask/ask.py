"""Asking and keeping: what was asked and answered whole is in the tenant's history."""

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence

from answerback.jobs.ports import Store
from answerback.kernel.errors import ErrorCode, ProviderError, StorageUnavailable
from answerback.kernel.log import Log
from answerback.llm.asking import Asker
from answerback.llm.model import Chunk, Json, Question

KEEPING_SECONDS = 1.0
"""How long an answer that is there waits for its place in the history."""


class Questions:
    """One question, one answer, no memory of earlier ones."""

    def __init__(self, asker: Asker, store: Store, log: Log) -> None:
        self._asker = asker
        self._store = store
        self._log = log
        self._keeping: set[asyncio.Task[None]] = set()

    async def ask(self, tenant_id: str, question: str, model: str | None) -> str:
        """The answer, kept, or still being kept where that takes long. Raises ProviderError."""
        answer = (await self._asker.ask(_body(question, model))).answer.text
        await self._keep(tenant_id, question, answer)
        return answer

    async def stream(self, tenant_id: str, question: str, model: str | None) -> AsyncGenerator[str, None]:
        """An open stream whose first words have come. Raises ProviderError; so does the stream, and then the answer is
        not whole and not kept. Close it to stop the upstream call."""
        chunks = await self._asker.stream(_body(question, model))
        return self._told(tenant_id, question, await first_words(chunks), chunks)

    async def history(self, tenant_id: str, limit: int) -> Sequence[Question]:
        """Newest first."""
        return await self._store.list_questions(tenant_id, limit)

    async def _told(
        self, tenant_id: str, question: str, first: str, chunks: AsyncGenerator[Chunk, None]
    ) -> AsyncGenerator[str, None]:
        # Not a list: kept one by one, words take fifteen times the room.
        told = io.StringIO()
        told.write(first)
        try:
            yield first
            async for chunk in chunks:
                if chunk.text:
                    told.write(chunk.text)
                    yield chunk.text
        finally:
            await chunks.aclose()
        await self._keep(tenant_id, question, told.getvalue())

    async def _keep(self, tenant_id: str, question: str, answer: str) -> None:
        """An answer that is there and paid for is worth more to its caller than its place in the history: behind a
        locked database it goes out, and its place is taken once the database is free, if that is soon enough."""
        keeping = asyncio.create_task(self._write(tenant_id, question, answer))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        await asyncio.wait((keeping,), timeout=KEEPING_SECONDS)

    async def _write(self, tenant_id: str, question: str, answer: str) -> None:
        try:
            await self._store.keep_question(tenant_id, question, answer)
        except StorageUnavailable as error:
            self._log.error("history_not_kept", reason=str(error))


async def first_words(chunks: AsyncGenerator[Chunk, None]) -> str:
    """Raises ProviderError also where none come: a model may think, call tools or stop without any."""
    try:
        async for chunk in chunks:
            if chunk.text:
                return chunk.text
    except BaseException:
        await chunks.aclose()
        raise
    raise ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)


def _body(question: str, model: str | None) -> dict[str, Json]:
    body: dict[str, Json] = {"messages": [{"role": "user", "content": question}]}
    return body if model is None else body | {"model": model}
