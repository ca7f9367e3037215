"""pgqueuer_tasks.py DATABASE_URL TASKS: puts tasks in, works them off, prints how many a second."""

import json
import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def main(url: str, tasks: int) -> None:
    connection = await asyncpg.connect(url)
    driver = AsyncpgDriver(connection)
    queries = Queries(driver)
    await queries.install()
    queue = PgQueuer(driver)

    @queue.entrypoint("nothing")
    async def nothing(job: object) -> None:
        pass

    for start in range(0, tasks, 1000):
        some = min(1000, tasks - start)
        await queries.enqueue(["nothing"] * some, [None] * some, [0] * some)
    began = time.monotonic()
    await queue.run(batch_size=100, mode=QueueExecutionMode.drain)
    print(json.dumps({"rate": tasks / (time.monotonic() - began)}))


uvloop.run(main(sys.argv[1], int(sys.argv[2])))
