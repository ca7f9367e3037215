"""How many statements a message costs, step by step, and how many rows it writes. A step that sends more fails."""

from answerback.database.probe import ERASE, WRITE
from builders import LEASE, REPORT, ROOMY, completed, new_job
from databases import Database, PostgresDatabase
from statements import Cost, Recorder, name_of
from stores import Stores

SQLITE = {
    "accept": (2, 2),
    "claim": (3, 2),
    "finish": (6, 6),
    "claim the delivery": (2, 2),
    "report": (3, 2),
}
POSTGRES = SQLITE | {
    # These lock the conversation first.
    "finish": (7, 6),
    "report": (4, 2),
}
"""Statements and rows written."""


async def test_each_step_of_a_message_costs_what_it_did(database: Database, stores: Stores) -> None:
    on_postgres = isinstance(database, PostgresDatabase)
    recorder = Recorder(stores._database, locks=on_postgres)
    costs: dict[str, Cost] = {}

    with recorder.step() as costs["accept"]:
        await stores.jobs.accept(new_job("hello", "s"), ROOMY)
    await stores.jobs.accept(new_job("held until the first is answered", "s"), ROOMY)
    with recorder.step() as costs["claim"]:
        (claim,) = (await stores.jobs.claim("worker", 1, LEASE)).jobs
    with recorder.step() as costs["finish"]:
        assert await stores.jobs.finish(claim, completed(), REPORT)
    with recorder.step() as costs["claim the delivery"]:
        (delivery,) = (await stores.deliveries.claim_deliveries("worker", 1, LEASE)).deliveries
    with recorder.step() as costs["report"]:
        assert await stores.deliveries.delivered(delivery, REPORT)

    for step, expected in (POSTGRES if on_postgres else SQLITE).items():
        assert (len(costs[step].statements), costs[step].rows_written) == expected, f"{step}: {costs[step]}"


async def test_the_recorder_names_statements_and_counts_written_rows(stores: Stores) -> None:
    recorder = Recorder(stores._database, locks=True)

    with recorder.step() as probed:
        await stores.ping()
    with recorder.step() as read:
        await stores.questions.list_questions("tenant", 1)
    await stores.ping()

    assert (probed.statements, probed.rows_written) == ([name_of(WRITE), name_of(ERASE)], 2)
    assert (len(read.statements), read.rows_written) == (1, 0)
