"""The reports of benchmarks that were asked for over HTTP, beside their files of results, each its tenant's."""

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from answerback.benchmark.results import on_disk, private
from answerback.http.responses import Time
from answerback.kernel.errors import NotFound, ResultsUnwritable
from answerback.kernel.log import Log

MOST_LISTED = 100
MOST_READ = 1_000
"""Reports of all tenants, the newest, that a list looks at."""
SUFFIX = ".json"
_NAME = re.compile(r"benchmark-[0-9TZ]{16}-[0-9a-f]{8}")


class BenchmarkSummary(BaseModel):
    """A benchmark that has ended. `name` is that of its file of results, without `.csv`."""

    name: str = Field(examples=["benchmark-20260101T120000Z-1f0c9a3e"])
    model: str = Field(examples=["openai/gpt-oss-20b:free"])
    calls: int = Field(examples=[25])
    failures: int = Field(examples=[0])
    created_at: Time


class Reports:
    """Reports in the folder of results: a line that says whose and what it is, then the body as it was sent. A report
    that cannot be written is logged: it has been sent all the same."""

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder = folder
        self._log = log

    async def keep(self, tenant_id: str, results_file: str, summary: BenchmarkSummary, body: BaseModel) -> None:
        path = Path(results_file).with_suffix(SUFFIX)
        head = {"tenant": tenant_id, "summary": dict(summary)}
        text = json.dumps(head).encode() + b"\n" + body.__pydantic_serializer__.to_json(body)

        def write() -> None:
            begun = path.with_suffix(".part")
            with private(begun) as file:
                file.write(text)
            # No list shows half a report.
            begun.replace(path)

        try:
            await on_disk(path, write)
        except ResultsUnwritable as error:
            self._log.warning("report_not_kept", reason=str(error))

    async def list(self, tenant_id: str) -> Sequence[BenchmarkSummary]:
        """Those of the tenant, the newest first."""
        return await asyncio.to_thread(self._list, tenant_id)

    async def get(self, tenant_id: str, name: str) -> bytes:
        """The body. Raises NotFound."""
        found = await asyncio.to_thread(self._read, tenant_id, name)
        if found is None:
            raise NotFound(f"there is no benchmark {name[:64]!r}")
        return found

    def _list(self, tenant_id: str) -> Sequence[BenchmarkSummary]:
        files = sorted(self._folder.glob(f"benchmark-*{SUFFIX}"), reverse=True)[:MOST_READ]
        heads = (_head(file) for file in files)
        own = [
            BenchmarkSummary(**head["summary"]) for head in heads if head is not None and head["tenant"] == tenant_id
        ]
        # Names have seconds only.
        return sorted(own, key=lambda each: each.created_at, reverse=True)[:MOST_LISTED]

    def _read(self, tenant_id: str, name: str) -> bytes | None:
        path = self._folder / f"{name}{SUFFIX}"
        if not _NAME.fullmatch(name) or (head := _head(path)) is None or head["tenant"] != tenant_id:
            return None
        return path.read_bytes().partition(b"\n")[2]


def _head(path: Path) -> dict[str, Any] | None:
    """None for a file that is gone, or was never ours."""
    try:
        with path.open("rb") as file:
            read: dict[str, Any] = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) and read.keys() == {"tenant", "summary"} else None
