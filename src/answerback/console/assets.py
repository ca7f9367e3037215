"""The console's files, read once, and its page at each address."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
START = "js/app.js"
PAGES = "js/pages/"
BELOW = "/console/assets/"
MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By a file's suffix."""

_IMPORTED = re.compile(r'^import [^;]*?from "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    content: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """`files` by their paths in the folder, such as `js/app.js`; `pages` by the module that draws each. `version` is in
    the addresses of all files, and changes with any of them."""

    files: Mapping[str, Asset]
    pages: Mapping[str, Asset]
    version: str

    def page(self, path: str) -> Asset:
        """The page at this path below `/console`: the same at all of them, but for the modules that it names."""
        # `jobs.js` draws `/jobs`, `job.js` `/jobs/{id}`.
        first, *rest = path.strip("/").split("/")
        name = first.removesuffix("s") if rest else first or "home"
        return self.pages.get(f"{PAGES}{name}.js") or self.pages[START]


def read_assets(folder: Path = STATIC) -> Assets:
    """Raises KeyError for a suffix that is in no row of `MEDIA_TYPES`."""
    paths = sorted(each for each in folder.rglob("*") if each.is_file())
    files = {each.relative_to(folder).as_posix(): _asset(each.read_bytes(), each.suffix) for each in paths}
    version = _digest("".join(name + each.etag for name, each in files.items()).encode())[:16]
    drawn = [START, *(name for name in files if name.startswith(PAGES))]
    return Assets(files, {each: _page(files, version, each) for each in drawn}, version)


def _page(files: Mapping[str, Asset], version: str, module: str) -> Asset:
    """The page, which names all modules that it needs: a browser would find one after the other."""
    source = files[PAGE].content.decode()
    links = [f'<link rel="modulepreload" href="{BELOW}{each}">' for each in _needed(files, (START, module))]
    written = source.replace("  <script", "".join(f"  {each}\n" for each in links) + "  <script", 1)
    return _asset(written.replace(BELOW, f"{BELOW}{version}/").encode(), ".html")


def _needed(files: Mapping[str, Asset], modules: Iterable[str]) -> list[str]:
    """What these modules import, and what that imports; the first one is no part of it."""
    needed = list(dict.fromkeys(modules))
    for module in needed:
        found = _IMPORTED.findall(files[module].content.decode())
        imported = [normpath(PurePosixPath(module).parent / each) for each in found]
        needed += [each for each in dict.fromkeys(imported) if each not in needed]
    return needed[1:]


def _asset(content: bytes, suffix: str) -> Asset:
    return Asset(content, MEDIA_TYPES[suffix], f'"{_digest(content)[:32]}"')


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
