"""A benchmark that names no model is one of the default route, whichever model of it answers."""

from pathlib import Path

from answerback.benchmark.model import Plan
from answerback.benchmark.results import ResultsFolder
from answerback.benchmark.run import Benchmark
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import ShortRetries
from answerback.llm.asking import Asker
from answerback.llm.catalog import Catalog
from answerback.llm.mock import MockProvider
from builders import Journal


async def test_it_reports_the_name_of_the_default_route(tmp_path: Path, journal: Journal) -> None:
    instruments = Instruments(journal)
    asker = Asker(MockProvider(), ShortRetries(0, 0.01, 0.01, 2), 10, instruments)
    catalog = Catalog(asker, 300, instruments, always=("smart",))
    benchmark = Benchmark(asker, catalog, ResultsFolder(tmp_path), "smart", journal)

    (report,) = await benchmark.run("t1", [Plan(["hi"], None, 1, 1, 16)])

    assert (report.overall.failures, report.model) == (0, "smart")
