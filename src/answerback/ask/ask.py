"""Asking, and the tenant's history: what was asked and answered whole."""

import asyncio
from collections.abc import AsyncGenerator

from answerback.ask.model import QuestionPage
from answerback.ask.store import QuestionStore
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.json import Json
from answerback.kernel.log import Log
from answerback.llm.asking import Asker, StreamedText, Timed
from answerback.llm.model import FinishReason

STORING_SECONDS = 1.0
"""How long an answer is held back until the history has it."""


class Questions:
    """One question, one answer, no memory of earlier ones."""

    def __init__(self, asker: Asker, store: QuestionStore, log: Log) -> None:
        self._asker = asker
        self._store = store
        self._log = log
        self._storing: set[asyncio.Task[None]] = set()

    async def ask(self, tenant_id: str, question: str, model: str | None) -> Timed:
        """The answer, stored, or still being stored where that takes long. Raises ProviderError."""
        timed = await self._asker.ask(tenant_id, _body(question, model))
        await self._store_soon(tenant_id, question, timed.text, timed.answer.finish_reason)
        return timed

    async def stream(self, tenant_id: str, question: str, model: str | None) -> StreamedText:
        """An open stream whose first words have come. Raises ProviderError, as its pieces do if it breaks; a broken
        answer is not stored. Close them to stop the upstream call."""
        text = await self._asker.stream_text(tenant_id, _body(question, model))
        return StreamedText(self._recorded(tenant_id, question, text), text.reply)

    async def history(self, tenant_id: str, limit: int, before: int | None) -> QuestionPage:
        """As `QuestionStore.list_questions`."""
        return await self._store.list_questions(tenant_id, limit, before)

    async def _recorded(self, tenant_id: str, question: str, text: StreamedText) -> AsyncGenerator[str, None]:
        # As bytes: kept one by one, words take fifteen times the room, and in a StringIO four times.
        answer = bytearray()
        try:
            async for piece in text.pieces:
                answer += piece.encode()
                yield piece
                del piece
        finally:
            await text.pieces.aclose()
        await self._store_soon(tenant_id, question, answer.decode(), text.finish_reason or "stop")

    async def _store_soon(self, tenant_id: str, question: str, answer: str, finish_reason: FinishReason) -> None:
        """Waits for the history, but not for long: if the database is locked, the answer goes out first, and is stored
        later, or its loss is logged."""
        storing = asyncio.create_task(self._write(tenant_id, question, answer, finish_reason))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)
        await asyncio.wait((storing,), timeout=STORING_SECONDS)

    async def _write(self, tenant_id: str, question: str, answer: str, finish_reason: FinishReason) -> None:
        try:
            await self._store.keep_question(tenant_id, question, answer, finish_reason)
        except StorageUnavailable as error:
            self._log.error("history_not_kept", reason=str(error))


def _body(question: str, model: str | None) -> dict[str, Json]:
    body: dict[str, Json] = {"messages": [{"role": "user", "content": question}]}
    return body if model is None else body | {"model": model}
