"""Generating: one prompt, one answer, by a model of the list."""

from collections.abc import Mapping

from answerback.kernel.json import Json
from answerback.llm.asking import Asker, StreamedText, Timed
from answerback.llm.catalog import Catalog


class Generation:
    """Asks, once the catalog lets the model pass. Bodies are those of OpenAI chat completion requests."""

    def __init__(self, asker: Asker, catalog: Catalog) -> None:
        self._asker = asker
        self._catalog = catalog

    async def generate(self, tenant_id: str, body: Mapping[str, Json]) -> Timed:
        """Raises ProviderError, UnknownModel."""
        await self._catalog.check(body.get("model"))
        return await self._asker.ask(tenant_id, body)

    async def stream(self, tenant_id: str, body: Mapping[str, Json]) -> StreamedText:
        """An open stream whose first words have come. Raises UnknownModel, and ProviderError, as its pieces do if it
        breaks. Close them to stop the upstream call."""
        await self._catalog.check(body.get("model"))
        return await self._asker.stream_text(tenant_id, body)
