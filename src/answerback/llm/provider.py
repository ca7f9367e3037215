"""What every LLM provider and every wrapper of one is."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from answerback.llm.model import Answer, ChatRequest, Chunk, Model, Relayed


class Provider(Protocol):
    """An LLM. It never retries by itself: whether and when is for the caller to decide."""

    name: str

    async def complete(self, request: ChatRequest) -> Answer:
        """A whole answer, read. Raises ProviderError."""

    async def relay(self, request: ChatRequest) -> Relayed:
        """A whole answer as the upstream sent it. Raises ProviderError."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes. Ends only after a `finish_reason`; raises ProviderError otherwise, at any time.
        Closing it stops the upstream call."""

    async def models(self) -> Sequence[Model]:
        """What can be asked. Raises ProviderError."""

    async def close(self) -> None: ...
