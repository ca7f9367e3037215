"""procrastinate_tasks.py DATABASE_URL TASKS: puts tasks in, works them off, prints how many a second."""

import asyncio
import json
import sys
import time

from procrastinate import App, PsycopgConnector


async def main(url: str, tasks: int) -> None:
    app = App(connector=PsycopgConnector(conninfo=url))

    @app.task(name="nothing")
    async def nothing() -> None:
        pass

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await nothing.batch_defer_async(*({} for _ in range(tasks)))
        began = time.monotonic()
        await app.run_worker_async(concurrency=50, wait=False, listen_notify=False)
        print(json.dumps({"rate": tasks / (time.monotonic() - began)}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
