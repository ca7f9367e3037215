"""The console's page and files: served to browsers without a key, under a policy that lets nothing else in."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from answerback.accounts import open_routes
from answerback.console.assets import MEDIA_TYPES, PAGE, STATIC, read_assets
from answerback.kernel.rate import Rate
from whole_api import Api, Reply, shared_api

PAGE_ADDRESSES = ("/console", "/console/", "/console/jobs", "/console/jobs/job_1", "/console/assets", "/console/x.js")


pytestmark = pytest.mark.asyncio(loop_scope="module")
api = shared_api(auth_token="client-token-2b7c")


def is_guarded(reply: Reply) -> bool:
    policy = reply.headers["content-security-policy"].split("; ")
    return (
        {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
        and "unsafe" not in reply.headers["content-security-policy"]
        and reply.headers["x-content-type-options"] == "nosniff"
        and reply.headers["referrer-policy"] == "no-referrer"
    )


@pytest.mark.parametrize("address", PAGE_ADDRESSES)
async def test_every_address_of_the_console_is_its_page(api: Api, address: str) -> None:
    reply = await api("GET", address)

    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b'<div id="app">' in reply.raw
    assert is_guarded(reply)


async def test_every_file_is_served_as_what_it_is(api: Api) -> None:
    assets = read_assets()
    for name, asset in assets.files.items():
        reply = await api("GET", f"/console/assets/{assets.version}/{name}")

        assert (reply.status, reply.raw) == (200, (STATIC / name).read_bytes())
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["content-type"] == asset.media_type == MEDIA_TYPES[Path(name).suffix]
        assert is_guarded(reply)


@pytest.mark.parametrize("address", ["/console", f"/console/assets/0/{PAGE}"])
async def test_a_file_that_a_browser_has_is_not_sent_again(api: Api, address: str) -> None:
    etag = (await api("GET", address)).headers["etag"]

    for known in (etag, f'"other", W/{etag}'):
        again = await api("GET", address, if_none_match=known)
        assert (again.status, again.raw, again.headers["etag"]) == (304, b"", etag)
    changed = await api("GET", address, if_none_match='"other"')
    assert (changed.status, changed.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["nothing.js", "../routes.py", "%2e%2e/routes.py", "js"])
async def test_no_other_file_is_served(api: Api, name: str) -> None:
    reply = await api("GET", f"/console/assets/{read_assets().version}/{name}")

    assert (reply.status, reply.code) == (404, "not_found")


async def test_the_addresses_of_files_change_with_any_of_them(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "static")
    before = read_assets(tmp_path / "static")
    (tmp_path / "static" / "css" / "base.css").write_text("body { color: red }")

    after = read_assets(tmp_path / "static")

    assert before.version != after.version
    assert after.version in after.page("").content.decode()
    assert before.version not in after.page("").content.decode()


async def test_a_page_of_before_an_upgrade_gets_what_is_there_now(api: Api) -> None:
    reply = await api("GET", "/console/assets/0123456789abcdef/js/app.js")

    assert (reply.status, reply.raw) == (200, (STATIC / "js" / "app.js").read_bytes())
    assert reply.headers["cache-control"] == "no-cache"


async def test_the_console_takes_no_other_method_and_is_not_documented(api: Api) -> None:
    assert (await api("POST", "/console/jobs")).headers["allow"] == "GET, HEAD"
    assert b"/console" not in (await api("GET", "/openapi.json")).raw


@pytest.mark.parametrize("address", ["/console", "/console/jobs"])
async def test_the_console_counts_as_what_is_asked_for_without_a_key(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_routes, "OPEN_RATE", Rate(2, 60))

    statuses = [(await api("GET", address, client=(f"192.0.2.{len(address)}", 50_000))).status for _ in range(3)]

    assert statuses == [200, 200, 429]


def needed(*modules: Path) -> set[Path]:
    """These and all that they import."""
    found, left = set(modules), list(modules)
    while left:
        module = left.pop()
        imported = re.findall(r'^import [^;]*?from "([^"]+)"', module.read_text(), re.MULTILINE)
        left += {(module.parent / each).resolve() for each in imported} - found
        found |= set(left)
    return found


def pages() -> Sequence[tuple[str, str]]:
    """Addresses below `/console`, and the names of their modules, as the console itself finds them."""
    rows = re.findall(r'\["/console([^"]*)", "(\w+)"\]', (STATIC / "js" / "router.js").read_text())
    return [(address.replace(":id", "job_1"), name) for address, name in rows]


@pytest.mark.parametrize(("address", "name"), [*pages(), ("/spend", None)])
async def test_a_page_loads_at_once_all_that_it_begins_with(api: Api, address: str, name: str | None) -> None:
    folder = STATIC / "js"
    modules = [folder / "app.js", *([folder / "pages" / f"{name}.js"] if name else [])]

    page = (await api("GET", f"/console{address}")).raw.decode()

    below = f"/console/assets/{read_assets().version}/js/"
    preloaded = re.findall(rf'modulepreload" href="{below}([^"]+)"', page)
    expected = needed(*modules) - {folder / "app.js"}
    assert sorted(preloaded) == sorted(each.relative_to(folder).as_posix() for each in expected)
    assert f'src="{below}app.js"' in page


SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|document\.write|srcdoc|eval\("
)
"""What makes markup or a program of a text."""


async def test_nothing_makes_markup_of_a_text() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js")}

    assert [name for name, source in sources.items() if SINKS.search(source)] == []
