"""The service as a web application: its routers, and what every request passes."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from answerback import __version__
from answerback.accounts import routes as accounts
from answerback.accounts import session_routes
from answerback.accounts.open_routes import OpenRates, OpenRoutes
from answerback.accounts.ratelimit import MovingWindows
from answerback.accounts.session_routes import About
from answerback.ask import routes as ask
from answerback.benchmark import routes as benchmark
from answerback.benchmark.reports import Reports
from answerback.bootstrap.kinds import memory_of
from answerback.bootstrap.service import Service
from answerback.chat import embeddings, models, text_completions
from answerback.chat import routes as chat
from answerback.console import routes as console
from answerback.conversations import routes as conversations
from answerback.database.probe import look, probe
from answerback.generate import routes as generate
from answerback.http import front_page, health, openapi
from answerback.http.body_limits import BodyLimits
from answerback.http.cors import Cors
from answerback.http.error_handlers import ErrorHandlers, ErrorRenderers
from answerback.http.head_requests import HeadRequests
from answerback.http.idempotent_routes import Idempotent
from answerback.http.middleware import RequestMiddleware
from answerback.http.openai_bodies import MAX_BODY_BYTES
from answerback.http.openai_errors import openai_error
from answerback.http.paths import Paths
from answerback.http.readiness import Readiness
from answerback.http.request_log import RequestLog
from answerback.http.routing import DirectRoutes, RouteLabels
from answerback.http.unknown_paths import Signposts
from answerback.inbox import inbox
from answerback.inbox import routes as inbox_routes
from answerback.jobs import metrics_routes as metrics
from answerback.jobs import routes as jobs
from answerback.jobs.canceller import Canceller
from answerback.jobs.erase import erase
from answerback.overview import feed_routes, providers
from answerback.overview import routes as overview
from answerback.overview.bodies import Answering
from answerback.relay import routes as relay
from answerback.responses import routes as responses
from answerback.responses.awaited import Awaited
from answerback.responses.background import Background
from answerback.responses.conversations import routes as conversation_routes
from answerback.responses.dispatch import Dispatcher
from answerback.responses.stored.streams import StoredStreams
from answerback.reviews import routes as reviews
from answerback.reviews.llm_callbacks import LlmCallbacks
from answerback.webhooks import routes as webhooks
from answerback.webhooks.endpoints import routes as endpoint_routes
from answerback.webhooks.receivers import routes as receiver_routes
from answerback.webhooks.signing import routes as secret_routes

DESCRIPTION = """POST a message and get 202 at once; the answer arrives on your callback URL, signed, in conversation
order, and nothing that was accepted is ever lost."""

UNOWNED = {"/v1": openai_error}
"""Renders the errors of paths that belong to no router: below `/v1`, OpenAI's clients ask for what is not offered."""

PRIVATE_PATHS = ("/v1/sessions/", inbox.PATH)

OPEN_PATHS = frozenset({console.ANY_PAGE, inbox_routes.TOKEN_PATH})
"""Templates of routes that anybody may ask for, or whose token is no reason to let anybody send more."""


@dataclass(frozen=True, slots=True)
class WebApp:
    """The service as ASGI, with what the server's protocol needs to answer and log requests that it refuses itself."""

    asgi: ASGIApp
    requests: RequestLog
    renderers: ErrorRenderers


def create_app(service: Service, broke: Callable[[], None] | None = None) -> WebApp:
    """The routes of a service that is built; its engine runs as long as the app. `broke` is called if that ever ends by
    itself."""

    idempotent = Idempotent(service.idempotency)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start(broke)
        try:
            yield
        finally:
            # What it cancels is cancelled in the database.
            await idempotent.stop()
            await service.stop()

    # /docs with files of its own works in a network without internet.
    app = FastAPIOffline(
        title="Answerback", version=__version__, description=DESCRIPTION, lifespan=lifespan, redirect_slashes=False
    )
    instruments = service.process.instruments
    rates = OpenRates(MovingWindows(instruments.clock.monotonic))
    routers = _routers(service, idempotent, rates)
    ours = [route for router in routers for route in router.routes]
    renderers = ErrorRenderers(ours, UNOWNED)
    routes = DirectRoutes(app, routers, ErrorHandlers(renderers, Signposts([*ours, *app.routes])))
    openapi.install(app)
    requests = RequestLog(instruments.log, instruments.metrics, PRIVATE_PATHS)
    asgi = RequestMiddleware(
        HeadRequests(OpenRoutes(routes, rates, ours, OPEN_PATHS)),
        instruments=instruments,
        requests=requests,
        renderers=renderers,
        paths=Paths(PRIVATE_PATHS),
        cors=Cors(service.settings.cors_allowed_origins),
        labels=RouteLabels(app.routes),
        limits=_limits(service.settings.max_body_bytes),
    )
    return WebApp(asgi, requests, renderers)


def _limits(most: int) -> BodyLimits:
    openais = max(most, MAX_BODY_BYTES)
    return BodyLimits(
        most,
        {
            # A form wraps its file.
            benchmark.PATH: most + benchmark.FORM_BYTES,
            chat.PATH: openais,
            text_completions.PATH: openais,
            embeddings.PATH: openais,
            responses.PATH: openais,
            conversation_routes.ROOT: openais,
            f"{conversation_routes.ROOT}/": openais,
        },
    )


def _responses(service: Service, canceller: Canceller, idempotent: Idempotent) -> APIRouter:
    store, model = service.stores.responses, service.default_model
    background = Background(
        service.kinds.response,
        service.submitter,
        canceller,
        store,
        service.stores.conversation_log,
        service.kinds.contexts,
        model,
    )
    events = service.stores.job_events
    streams = StoredStreams(store, events, model)
    awaited = Awaited(background, store, streams, events.moves, model, service.process.instruments.log)
    dispatcher = Dispatcher(service.calls.responder, background, awaited, streams, idempotent, model)
    return responses.router(
        dispatcher, background, streams, store, service.kinds.contexts, service.authenticator, model
    )


def _readiness(service: Service) -> Readiness:
    write = service.stores.database.write
    clock = service.process.instruments.clock
    return Readiness(
        partial(write.run, look),
        partial(write.run, probe),
        lambda: write.failures,
        lambda: service.healthy,
        clock.monotonic,
    )


def _routers(service: Service, idempotent: Idempotent, rates: OpenRates) -> tuple[APIRouter, ...]:
    authenticator, settings, stores = service.authenticator, service.settings, service.stores
    kinds, submitter, notifier = service.kinds, service.submitter, service.notifier
    instruments = service.process.instruments
    canceller = Canceller(service.jobs, notifier, instruments)
    check_url = service.webhooks.guard.check_unresolved
    return (
        front_page.router(console.HOME.removeprefix("/")),
        console.router(),
        relay.router(kinds.message, submitter, authenticator, check_url),
        *_routers_of_calls(service, idempotent),
        _responses(service, canceller, idempotent),
        conversation_routes.router(stores.conversation_log, authenticator, idempotent),
        reviews.router(
            kinds.review,
            submitter,
            LlmCallbacks(service.jobs, kinds.tokens, notifier, instruments),
            authenticator,
            check_url,
            reads_files=settings.llm_api_url is None,
            simulation=settings.enable_simulation,
        ),
        jobs.router(service.jobs, submitter, canceller, authenticator, instruments, idempotent),
        *_routers_of_webhooks(service, idempotent),
        conversations.router(
            stores.conversations,
            service.sharing.windows,
            partial(erase, kinds=kinds.registry),
            authenticator.tenant_or_asked,
            memory_of(settings),
            instruments.clock.now,
        ),
        session_routes.router(authenticator, About(__version__, settings.mock, service.default_model)),
        accounts.router(stores.accounts, service.key_uses, authenticator, idempotent, service.webhooks.secrets.current),
        *_routers_of_overview(service),
        inbox_routes.router(service.webhooks.inbox, stores.inbox, authenticator.tenant, authenticator.polling_tenant),
        health.router(_readiness(service), service.provider.name, settings.mock),
        metrics.router(
            service.depths,
            service.page,
            authenticator,
            rates,
            on_loopback=settings.loopback_only,
        ),
    )


def _routers_of_calls(service: Service, idempotent: Idempotent) -> tuple[APIRouter, ...]:
    calls, authenticator = service.calls, service.authenticator
    reports = Reports(service.settings.benchmarks_dir, service.process.instruments.log)
    return (
        ask.router(calls.questions, authenticator, idempotent),
        generate.router(calls.generation, calls.catalog, authenticator, idempotent),
        benchmark.router(calls.benchmark, authenticator, idempotent, reports),
        chat.router(calls.asker, authenticator, idempotent),
        text_completions.router(calls.asker, authenticator, idempotent),
        embeddings.router(calls.asker, authenticator, idempotent),
        models.router(calls.catalog, authenticator),
    )


def _routers_of_webhooks(service: Service, idempotent: Idempotent) -> tuple[APIRouter, ...]:
    own, authenticator, log = service.webhooks, service.authenticator, service.process.instruments.log
    asked, polling = authenticator.tenant_or_asked, authenticator.polling_tenant_or_asked
    return (
        webhooks.router(
            service.stores.deliveries, own.origins.answers_again, service.notifier, log, asked, polling, idempotent
        ),
        receiver_routes.router(own.receivers, service.every_receiver, polling, authenticator.known_tenant_or_asked),
        endpoint_routes.router(own.endpoints, authenticator.tenant, authenticator.polling_tenant, idempotent),
        secret_routes.router(own.secrets, authenticator.tenant, idempotent),
    )


def _routers_of_overview(service: Service) -> tuple[APIRouter, ...]:
    shown, authenticator = service.overview, service.authenticator
    answering = Answering(service.settings.mock, service.default_model)
    return (
        providers.router(shown.providers, authenticator),
        overview.router(shown.summaries, shown.providers, answering, authenticator),
        feed_routes.router(shown.feeds, shown.summaries, service.jobs, shown.providers, answering, authenticator),
    )
