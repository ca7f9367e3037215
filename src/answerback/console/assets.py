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
    source = files[PAGE].content.decode()
    imports = {name: _imports(name, each.content.decode()) for name, each in files.items() if name.endswith(".js")}
    drawn = [START, *(name for name in files if name.startswith(PAGES))]
    return Assets(files, {each: _page(source, version, _needed(imports, each)) for each in drawn}, version)


def _page(source: str, version: str, modules: Iterable[str]) -> Asset:
    """The page, which names all modules that it needs: a browser would find one after the other."""
    links = [f'<link rel="modulepreload" href="{BELOW}{each}">' for each in modules]
    written = source.replace("  <script", "".join(f"  {each}\n" for each in links) + "  <script", 1)
    return _asset(written.replace(BELOW, f"{BELOW}{version}/").encode(), ".html")


def _imports(module: str, source: str) -> Iterable[str]:
    """The modules that this one imports, each once."""
    return dict.fromkeys(normpath(PurePosixPath(module).parent / each) for each in _IMPORTED.findall(source))


def _needed(imports: Mapping[str, Iterable[str]], drawing: str) -> list[str]:
    """What the start and the module that draws a page import, and what that imports; the start is no part of it."""
    needed = list(dict.fromkeys((START, drawing)))
    for module in needed:
        needed += [each for each in imports[module] if each not in needed]
    return needed[1:]


def _asset(content: bytes, suffix: str) -> Asset:
    return Asset(content, MEDIA_TYPES[suffix], f'"{_digest(content)[:32]}"')


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
