"""The scenarios, each a module with a `run` and its sizes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from chaos.figures import Figures
from chaos.fleet import Fleet, Kind
from chaos.scenarios import backlog, broker, database, half_open, kills, lease, outage, rolling, same_key, skew

Run = Callable[[Fleet], Awaitable[Figures]]
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Scenario:
    """`quick` is its short form; None: a short form would prove nothing. `linked` as in `Fleet`."""

    name: str
    kind: Kind
    full: Run
    quick: Run | None
    linked: bool = False


def _scenario(
    name: str,
    run: Callable[[Fleet, S], Awaitable[Figures]],
    full: S,
    quick: S | None = None,
    *,
    kind: Kind = Kind.REDIS,
    linked: bool = False,
) -> Scenario:
    short = None if quick is None else lambda fleet: run(fleet, quick)
    return Scenario(name, kind, lambda fleet: run(fleet, full), short, linked)


SCENARIOS = (
    _scenario("kills", kills.run, kills.FULL, kills.QUICK),
    _scenario("database", database.run, database.FULL, database.QUICK),
    _scenario("redis", broker.run, broker.FULL, broker.QUICK),
    _scenario("rolling", rolling.run, rolling.FULL, rolling.QUICK),
    _scenario("same-key", same_key.run, same_key.FULL, same_key.QUICK),
    # The last of those that share a fleet: it leaves workers whose clocks are wrong.
    _scenario("skew", skew.run, skew.FULL, skew.QUICK),
    _scenario("outage", outage.run, outage.FULL),
    _scenario("lease", lease.run, lease.FULL),
    _scenario("backlog", backlog.run, backlog.FULL),
    _scenario("half-open-redis", half_open.run, half_open.FULL, linked=True),
    _scenario("rabbitmq", broker.run, broker.FULL, kind=Kind.RABBITMQ),
    _scenario("half-open-rabbitmq", half_open.run, half_open.FULL, kind=Kind.RABBITMQ, linked=True),
)
