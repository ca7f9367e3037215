"""What the overview shows: of all processes, and live."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from answerback.bootstrap.lifetimes import opened
from answerback.bootstrap.runtime import Process
from answerback.kernel.ids import new_id
from answerback.llm.health import Health
from answerback.overview.activity import ActivityWriter
from answerback.overview.feed import Feeds
from answerback.overview.overviews import Overviews
from answerback.overview.provider_reports import ProviderReports
from answerback.overview.store import OverviewStore


@dataclass(frozen=True, slots=True)
class Overview:
    """`activity` writes how this process's jobs ended, `providers` how its calls went."""

    summaries: Overviews
    providers: ProviderReports
    feeds: Feeds
    activity: ActivityWriter


def make_overview(process: Process, store: OverviewStore, lifetimes: AsyncExitStack) -> Overview:
    log, clock = process.instruments.log, process.instruments.clock
    process_id = new_id("process_", clock.now())
    return Overview(
        summaries=opened(Overviews(store, clock.monotonic), lifetimes),
        providers=opened(ProviderReports(Health(clock), store, process_id, clock.monotonic), lifetimes),
        feeds=Feeds(store.version, log, clock.monotonic),
        activity=opened(ActivityWriter(process.activity, store, log), lifetimes),
    )
