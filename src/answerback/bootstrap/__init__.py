"""Putting the service together: the only place that builds adapters."""

from answerback.ask.ask import Questions
from answerback.benchmark.results import ResultsFolder
from answerback.benchmark.run import Benchmark
from answerback.bootstrap.accounts import make_authenticator
from answerback.bootstrap.accounts import make_signing_secrets as make_signing_secrets
from answerback.bootstrap.database import migrate as migrate
from answerback.bootstrap.database import open_store as open_store
from answerback.bootstrap.notifiers import make_notifier, make_publisher
from answerback.bootstrap.runtime import open_log as open_log
from answerback.bootstrap.service import Role as Role
from answerback.bootstrap.service import Service as Service
from answerback.bootstrap.sharing import make_sharing
from answerback.bootstrap.upstreams import Upstreams
from answerback.bootstrap.work import Instruments, make_engine, make_instruments, make_reviewer
from answerback.conversations.memory import Conversations
from answerback.generate.generate import Generation
from answerback.http.idempotency import IdempotencyRecords
from answerback.jobs.control import Control
from answerback.jobs.metrics_routes import Depths
from answerback.jobs.ports import Store
from answerback.jobs.store import SqlStore
from answerback.jobs.submit import Intake
from answerback.kernel.clock import Clock, SystemClock
from answerback.kernel.failpoints import Failpoint, OnFailpoint
from answerback.kernel.log import Log
from answerback.llm.asking import Asker
from answerback.llm.catalog import Catalog
from answerback.llm.provider import Provider
from answerback.queue.notifier import Notifier
from answerback.queue.notifiers.local import LocalNotifier
from answerback.reviews.llm_callbacks import CallbackTokens, LlmCallbacks
from answerback.settings import Settings
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.sender import WebhookSender


def nothing(_: Failpoint) -> None:
    """What happens at a commit boundary outside of tests."""


def build(
    settings: Settings, store: SqlStore, log: Log, role: Role = Role.ALL, failpoint: OnFailpoint = nothing
) -> Service:
    """The whole service on an open store, not yet started. Raises RoutesFileError, SettingsError, ResultsUnwritable."""
    upstreams = Upstreams(settings)
    tell = make_instruments(upstreams.models, log, failpoint)
    clock, metrics = tell.clock, tell.metrics
    provider = upstreams.provider(clock, log, metrics, tell.tracer)
    guard = AddressGuard(settings.callback_allowed_networks, allow_loopback=settings.loopback_only)
    sender = WebhookSender(guard, clock.now, settings.callback_timeout_seconds)
    tokens = CallbackTokens(store)
    reviewer = make_reviewer(settings, provider, guard, tokens, tell)
    sharing = make_sharing(settings, store, log, metrics)
    signing_secrets = make_signing_secrets(settings, store)
    here = LocalNotifier()
    engine = None
    if role is not Role.API:
        engine = make_engine(settings, store, provider, reviewer, sender, signing_secrets, sharing.windows, here, tell)
    publisher = None if role is Role.WORKER else make_publisher(settings, log, metrics)
    notifier = make_notifier(here, engine, publisher)
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    results = _results(settings, role)
    return Service(
        settings=settings,
        log=log,
        store=store,
        provider=provider,
        intake=_intake(settings, store, guard, notifier, tell),
        control=Control(store, notifier, log, metrics),
        conversations=Conversations(store, sharing.windows),
        authenticator=make_authenticator(settings, store, sharing.rates, clock),
        signing_secrets=signing_secrets,
        asker=asker,
        questions=Questions(asker, store, log),
        catalog=catalog,
        generation=Generation(asker, catalog),
        idempotent_calls=IdempotencyRecords(store, settings.lease_seconds, log),
        benchmark=Benchmark(asker, catalog, results, upstreams.default_model, log),
        engine=engine,
        publisher=publisher,
        sharing=sharing,
        sender=sender,
        guard=guard,
        llm_callbacks=LlmCallbacks(store, tokens, notifier, log, metrics),
        reviewer=reviewer,
        metrics=metrics,
        depths=Depths(store, clock),
        tracer=tell.tracer,
    )


def _intake(settings: Settings, store: Store, guard: AddressGuard, notifier: Notifier, tell: Instruments) -> Intake:
    return Intake(
        store,
        guard,
        notifier,
        settings.limits,
        settings.job_deadline_seconds,
        tell.log,
        tell.failpoint,
        tell.metrics,
        tell.tracer,
        reads_files=settings.llm_api_url is None,
    )


def _results(settings: Settings, role: Role) -> ResultsFolder:
    results = ResultsFolder(settings.benchmarks_dir)
    if role is not Role.WORKER and "benchmarks_dir" in settings.model_fields_set:
        # A folder that somebody named must be there; ours may be missing where nobody wants benchmarks.
        results.make()
    return results


def build_benchmark(settings: Settings, log: Log) -> tuple[Benchmark, Provider]:
    """Benchmarks without the rest of the service, and the provider they ask, which is the caller's to close."""
    clock = SystemClock()
    upstreams = Upstreams(settings)
    provider = upstreams.provider(clock, log)
    asker = Asker(provider, settings.short_retries, settings.llm_timeout_seconds, log)
    catalog = _catalog(settings, asker, clock, log)
    return Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), upstreams.default_model, log), provider


def _catalog(settings: Settings, asker: Asker, clock: Clock, log: Log) -> Catalog:
    return Catalog(asker, settings.cache_ttl, clock, log, always=(settings.default_model,))
