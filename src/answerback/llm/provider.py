"""The protocol of LLM providers and of wrappers around them."""

from typing import Protocol

from answerback.llm.model import ChatRequest, ModelList
from answerback.llm.reply import Reply, StreamedReply, WholeReply


class Provider(Protocol):
    """An LLM. It never retries by itself: whether and when is for the caller to decide.

    Requests, whole bodies and the events of streams have the shape of OpenAI's chat completions: they are passed on to
    callers byte by byte. A provider whose API has another shape translates, and rebuilds the bytes as OpenAI would send
    them.
    """

    name: str

    async def send(self, request: ChatRequest) -> Reply:
        """A StreamedReply where the request asks for a stream, once its first token has come; else a WholeReply.
        Raises ProviderError."""

    async def models(self) -> ModelList:
        """The models that the provider lists. Raises ProviderError."""

    async def close(self) -> None: ...


async def send_whole(provider: Provider, request: ChatRequest) -> WholeReply:
    """The reply to a request that asks for no stream. Raises ProviderError."""
    reply = await provider.send(request)
    if not isinstance(reply, WholeReply):
        raise TypeError(f"the provider {provider.name!r} streamed what was asked for whole")
    return reply


async def send_streamed(provider: Provider, request: ChatRequest) -> StreamedReply:
    """The reply to a request that asks for a stream. Raises ProviderError; so does the reply."""
    reply = await provider.send(request)
    if not isinstance(reply, StreamedReply):
        raise TypeError(f"the provider {provider.name!r} did not stream what was asked for as a stream")
    return reply
