"""The kinds of job that this service runs."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from answerback.bootstrap.stores import Stores
from answerback.conversations.model import Memory
from answerback.conversations.windows import Windows
from answerback.jobs.kind import Registry
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import ShortRetries
from answerback.kernel.shares import Weights
from answerback.llm.limiter import UpstreamLimiter
from answerback.llm.provider import Provider
from answerback.relay.kind import MessageKind
from answerback.responses.context import Contexts
from answerback.responses.kind import ResponseKind
from answerback.reviews.by_chat import ChatReviewer
from answerback.reviews.by_webhook import WebhookReviewer
from answerback.reviews.files.address_pace import AddressPace
from answerback.reviews.files.fetcher import FileFetcher
from answerback.reviews.files.reader import DocumentReader
from answerback.reviews.files.texts import FileTexts
from answerback.reviews.kind import Reviewer, ReviewKind
from answerback.reviews.push import PushProvider
from answerback.reviews.tokens import CallbackTokens
from answerback.settings import Settings
from answerback.webhooks.sending.guard import AddressGuard


@dataclass(frozen=True, slots=True)
class Kinds:
    """Each kind by itself, for the routes of its feature, with what it shares with them; and all by their names."""

    message: MessageKind
    review: ReviewKind
    response: ResponseKind
    tokens: CallbackTokens
    contexts: Contexts
    registry: Registry


def make_kinds(
    settings: Settings,
    provider: Provider,
    guard: AddressGuard,
    stores: Stores,
    windows: Windows,
    weights: Weights,
    instruments: Instruments,
    lifetimes: AsyncExitStack,
) -> Kinds:
    message = MessageKind(provider, stores.conversations, windows, memory_of(settings), settings.llm_timeout_seconds)
    tokens = CallbackTokens(stores.service_secrets)
    reviewer = _make_reviewer(settings, provider, guard, tokens, weights, instruments)
    lifetimes.push_async_callback(reviewer.close)
    review = ReviewKind(reviewer, settings.llm_timeout_seconds, settings.review_callback_schedule)
    contexts, timeout = Contexts(stores.responses, stores.conversation_log), settings.llm_timeout_seconds
    waited_for = short_retries(settings)
    response = ResponseKind(provider, contexts, stores.job_events, timeout, waited_for, instruments.clock)
    return Kinds(message, review, response, tokens, contexts, Registry([message, review, response]))


def memory_of(settings: Settings) -> Memory:
    """How much of a conversation travels with a message."""
    return Memory(settings.context_max_messages, settings.context_max_tokens, settings.context_ttl_seconds)


def short_retries(settings: Settings) -> ShortRetries:
    """Of calls whose callers wait."""
    return ShortRetries(
        settings.max_retries, settings.min_retry_delay, settings.max_retry_delay, settings.retry_multiplier
    )


def _make_reviewer(
    settings: Settings,
    provider: Provider,
    guard: AddressGuard,
    tokens: CallbackTokens,
    weights: Weights,
    instruments: Instruments,
) -> Reviewer:
    if settings.llm_api_url is None:
        fetcher = FileFetcher(guard, AddressPace(instruments.clock.monotonic))
        return ChatReviewer(provider, FileTexts(fetcher, DocumentReader(), settings.tenant_slot_factor), guard.check)
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else None
    per_minute, concurrency = settings.upstream_requests_per_minute, settings.upstream_concurrency
    factor = settings.tenant_slot_factor
    limiter = UpstreamLimiter(
        PushProvider.name, instruments, per_minute, concurrency, slot_factor=factor, weights=weights
    )
    llm = PushProvider(settings.llm_api_url, key, settings.connection_timeout, limiter, instruments)
    return WebhookReviewer(llm, tokens, settings.public_base_url, settings.llm_callback_timeout_seconds)
