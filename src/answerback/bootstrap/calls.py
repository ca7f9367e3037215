"""What answers while its caller waits."""

from collections.abc import Callable
from dataclasses import dataclass

from answerback.ask.ask import Questions
from answerback.benchmark.results import ResultsFolder
from answerback.benchmark.run import Benchmark
from answerback.bootstrap.kinds import Kinds, short_retries
from answerback.bootstrap.runtime import Process
from answerback.bootstrap.stores import Stores
from answerback.generate.generate import Generation
from answerback.jobs.store import JobStore
from answerback.kernel.instruments import Instruments
from answerback.kernel.telemetry import JobEnd
from answerback.llm.asking import Asker, uncounted
from answerback.llm.catalog import Catalog
from answerback.llm.provider import Provider
from answerback.responses.create import Responder
from answerback.settings import Settings


@dataclass(frozen=True, slots=True)
class Calls:
    """`asker` is behind all the others."""

    asker: Asker
    catalog: Catalog
    questions: Questions
    generation: Generation
    benchmark: Benchmark
    responder: Responder


def make_calls(
    settings: Settings,
    process: Process,
    stores: Stores,
    jobs: JobStore,
    kinds: Kinds,
    provider: Provider,
    results: ResultsFolder,
    default_model: str,
) -> Calls:
    instruments = process.instruments
    asker = make_asker(settings, provider, instruments, process.activity.called)
    catalog = make_catalog(settings, asker, instruments, default_model)
    return Calls(
        asker=asker,
        catalog=catalog,
        questions=Questions(asker, stores.questions, instruments.log),
        generation=Generation(asker, catalog),
        benchmark=Benchmark(asker, catalog, results, default_model, instruments.log),
        responder=Responder(asker, kinds.contexts, jobs, default_model, instruments),
    )


def make_asker(
    settings: Settings, provider: Provider, instruments: Instruments, ended: Callable[[JobEnd], None] = uncounted
) -> Asker:
    """The `Asker` of all synchronous routes. `ended` counts how calls end."""
    return Asker(provider, short_retries(settings), settings.llm_timeout_seconds, instruments, ended=ended)


def make_catalog(settings: Settings, asker: Asker, instruments: Instruments, default_model: str) -> Catalog:
    return Catalog(asker, settings.cache_ttl, instruments, always=(default_model,))
