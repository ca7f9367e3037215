"""The service as a web application: its doors."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from answerback import __version__, bootstrap
from answerback.accounts import routes as accounts
from answerback.ask import routes as ask
from answerback.benchmark import routes as benchmark
from answerback.chat import models
from answerback.chat import routes as chat
from answerback.chat.errors import shape_of
from answerback.conversations import routes as conversations
from answerback.generate import routes as generate
from answerback.http import errors, health, openapi
from answerback.http.idempotent_routes import Idempotent
from answerback.http.middleware import RequestMiddleware
from answerback.jobs import metrics_routes as metrics
from answerback.jobs import routes as jobs
from answerback.relay import routes as webhook
from answerback.reviews import routes as reviews
from answerback.webhooks import routes as webhooks

DESCRIPTION = """POST a message and hear 202 at once; the answer arrives on your callback URL, signed, in conversation
order, and nothing that was accepted is ever lost."""


def create_app(service: bootstrap.Service) -> FastAPI:
    """The doors over a built service; its engine runs as long as the app."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.stop()

    # /docs with files of its own: a service within a network without internet shows it, and tells nobody that it does.
    app = FastAPIOffline(title="Answerback", version=__version__, description=DESCRIPTION, lifespan=lifespan)
    errors.install(app, shape_of)
    app.add_middleware(
        RequestMiddleware,
        max_body_bytes=service.settings.max_body_bytes,
        log=service.log,
        shape_of=shape_of,
        allowances={benchmark.PATH: benchmark.FORM_BYTES},
        metrics=service.metrics,
        tracer=service.tracer,
    )
    store, authenticator = service.store, service.authenticator
    once = Idempotent(service.idempotent_calls)
    check_url = service.guard.check_unresolved
    app.include_router(webhook.router(service.intake, authenticator, check_url))
    app.include_router(ask.router(service.questions, authenticator, once))
    app.include_router(generate.router(service.generation, service.catalog, authenticator, once))
    app.include_router(benchmark.router(service.benchmark, authenticator, once))
    app.include_router(chat.router(service.asker, authenticator, once))
    app.include_router(models.router(service.catalog, authenticator))
    here, simulation = service.settings.llm_api_url is None, service.settings.enable_simulation
    review = reviews.router(
        service.intake, service.llm_callbacks, authenticator, check_url, reads_files=here, simulation=simulation
    )
    app.include_router(review)
    app.include_router(jobs.router(store, service.intake, service.control, authenticator))
    app.include_router(conversations.router(service.conversations, authenticator))
    app.include_router(accounts.router(store, authenticator, once, service.signing_secrets.current))
    app.include_router(webhooks.router(service.signing_secrets, authenticator.tenant, once))
    app.include_router(health.router(store, service.provider.name, service.settings.mock, lambda: service.healthy))
    is_open = service.settings.loopback_only or service.settings.auth_disabled
    app.include_router(metrics.router(service.depths, service.metrics.exposition, authenticator, is_open=is_open))
    openapi.install(app)
    return app
