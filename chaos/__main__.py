"""`python -m chaos [--quick] [scenario …]`: a line for each scenario, exit code 1 when a promise was broken."""

import argparse
import asyncio
import contextlib
import itertools
import resource
import shutil
import signal
import sys
import time
from collections.abc import Sequence

from answerback.testing.backends import BackendUnavailable
from chaos.figures import Figures, line
from chaos.fleet import Fleet
from chaos.scenarios import SCENARIOS, Run, Scenario


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, under a minute")
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(each.name for each in SCENARIOS))
    chosen = parser.parse_args()
    unknown = set(chosen.scenarios) - {each.name for each in SCENARIOS}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    scenarios = [each for each in SCENARIOS if not chosen.scenarios or each.name in chosen.scenarios]
    try:
        return asyncio.run(_quick(scenarios) if chosen.quick else _full(scenarios))
    except BackendUnavailable as error:
        sys.stderr.write(f"chaos: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


async def _full(scenarios: Sequence[Scenario]) -> int:
    """A fresh fleet for each."""
    return max([await _on_one_fleet([(each, each.full)]) for each in scenarios], default=0)


async def _quick(scenarios: Sequence[Scenario]) -> int:
    """One fleet for all that can share it."""
    short = [(each, each.quick) for each in scenarios if each.quick is not None]
    fleets = itertools.groupby(short, key=lambda pair: (pair[0].kind, pair[0].linked))
    return max([await _on_one_fleet(list(group)) for _, group in fleets], default=0)


async def _on_one_fleet(runs: Sequence[tuple[Scenario, Run]]) -> int:
    first, _ = runs[0]
    code = 0
    async with Fleet(first.kind, linked=first.linked) as fleet:
        for scenario, run in runs:
            began = time.monotonic()
            figures = await _run(run, fleet)
            _say(line(scenario.name, figures, time.monotonic() - began))
            code |= bool(figures.broken)
    if code:
        _say(f"        the processes' logs are in {fleet.folder}")
    else:
        shutil.rmtree(fleet.folder, ignore_errors=True)
    return code


async def _run(run: Run, fleet: Fleet) -> Figures:
    try:
        return await run(fleet)
    except Exception as error:  # noqa: BLE001 - the other scenarios run all the same
        return Figures((), (f"could not be run to its end: {error!r}",))


def _allow_many_sockets() -> None:
    """As many as the system allows, for this process and those of the fleet."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _allow_many_sockets()
    # So that ending this process ends the fleet.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
