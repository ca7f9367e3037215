"""Generating: one prompt, one answer, by a model that there is."""

from collections.abc import AsyncGenerator, Mapping

from answerback.ask.ask import first_words
from answerback.llm.asking import Asker, Timed
from answerback.llm.catalog import Catalog
from answerback.llm.model import Chunk, Json


class Generation:
    """Asks, once the catalog lets the model pass. Bodies are those of OpenAI chat completion requests."""

    def __init__(self, asker: Asker, catalog: Catalog) -> None:
        self._asker = asker
        self._catalog = catalog

    async def generate(self, body: Mapping[str, Json]) -> Timed:
        """Raises ProviderError, UnknownModel."""
        await self._catalog.check(body.get("model"))
        return await self._asker.ask(body)

    async def stream(self, body: Mapping[str, Json]) -> AsyncGenerator[str, None]:
        """An open stream whose first words have come. Raises UnknownModel, and ProviderError; so does the stream, and
        then the answer is not whole. Close it to stop the upstream call."""
        await self._catalog.check(body.get("model"))
        chunks = await self._asker.stream(body)
        return _told(await first_words(chunks), chunks)


async def _told(first: str, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[str, None]:
    try:
        yield first
        async for chunk in chunks:
            if chunk.text:
                yield chunk.text
    finally:
        await chunks.aclose()
