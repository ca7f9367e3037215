"""Writes what the documentation takes from the code: `python -m answerback.testing.docs`, in the repository's root."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from answerback.settings.describing import env_example
from answerback.testing import reference
from answerback.testing.service import Service

REFERENCE = Path("docs") / "reference"


async def api_document() -> Mapping[str, Any]:
    """The OpenAPI document of a service that offers every route."""
    async with (
        Service({"MOCK_MODE": "true", "ENABLE_SIMULATION": "true"}) as service,
        aiohttp.ClientSession() as http,
        http.get(f"{service.url}/openapi.json") as response,
    ):
        document: Mapping[str, Any] = await response.json()
        return document


def tables(document: Mapping[str, Any]) -> Mapping[str, str]:
    """The generated parts of `docs/reference/`, by their names."""
    return {
        "settings": reference.settings(),
        "job errors": reference.job_errors(),
        "response errors": reference.response_errors(),
        "metrics": reference.metrics(),
        "routes": reference.routes(document),
    }


def renewed(page: str, parts: Mapping[str, str]) -> str:
    """The page with its generated parts renewed: each stands between `<!-- NAME -->` and `<!-- /NAME -->`. Raises
    ValueError where one of the two is missing or stands twice."""
    for name, text in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if begin not in page and end not in page:
            continue
        before, _, rest = page.partition(begin)
        old, found, after = rest.partition(end)
        if not found or begin in old + after or end in before + after:
            raise ValueError(f"{begin.strip()} and {end} must each stand once, in this order")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page


def pages(root: Path, document: Mapping[str, Any]) -> Mapping[Path, str]:
    """Every file with generated parts, as it should be."""
    parts = tables(document)
    found = {page: renewed(page.read_text(encoding="utf-8"), parts) for page in sorted((root / REFERENCE).glob("*.md"))}
    return {**found, root / ".env.example": env_example()}


def main() -> None:
    for path, text in pages(Path.cwd(), asyncio.run(api_document())).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
