"""Benchmarks without the rest of the service."""

from answerback.benchmark.results import ResultsFolder
from answerback.benchmark.run import Benchmark
from answerback.bootstrap.calls import make_asker, make_catalog
from answerback.bootstrap.upstreams import Upstreams
from answerback.kernel.instruments import Instruments
from answerback.kernel.log import Log
from answerback.llm.provider import Provider
from answerback.settings import Settings


def make_benchmark(settings: Settings, log: Log) -> tuple[Benchmark, Provider]:
    """Also returns the provider that it asks, which the caller closes. Raises RoutesFileError."""
    instruments = Instruments(log)
    upstreams = Upstreams(settings)
    provider = upstreams.provider(instruments)
    asker = make_asker(settings, provider, instruments)
    catalog = make_catalog(settings, asker, instruments, upstreams.default_model)
    return Benchmark(asker, catalog, ResultsFolder(settings.benchmarks_dir), upstreams.default_model, log), provider
