"""The console's page and files: served to browsers without a key, under a policy that lets nothing else in."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerback.accounts import open_routes
from answerback.console.assets import MEDIA_TYPES, PAGE, STATIC, read_assets
from answerback.kernel.rate import Rate
from whole_api import Api, Reply, whole_api

PAGE_ADDRESSES = ("/console", "/console/", "/console/jobs", "/console/jobs/job_1", "/console/assets", "/console/x.js")


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, auth_token="client-token-2b7c") as api:
        yield api


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
    assert reply.raw == (STATIC / PAGE).read_bytes()
    assert is_guarded(reply)


async def test_every_file_is_served_as_what_it_is(api: Api) -> None:
    for name, asset in read_assets().items():
        reply = await api("GET", f"/console/assets/{name}")

        assert (reply.status, reply.raw) == (200, (STATIC / name).read_bytes())
        assert reply.headers["content-type"] == asset.media_type == MEDIA_TYPES[Path(name).suffix]
        assert is_guarded(reply)


@pytest.mark.parametrize("address", ["/console", f"/console/assets/{PAGE}"])
async def test_a_file_that_a_browser_has_is_not_sent_again(api: Api, address: str) -> None:
    etag = (await api("GET", address)).headers["etag"]

    for known in (etag, f'"other", W/{etag}'):
        again = await api("GET", address, if_none_match=known)
        assert (again.status, again.raw, again.headers["etag"]) == (304, b"", etag)
    changed = await api("GET", address, if_none_match='"other"')
    assert (changed.status, changed.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["nothing.js", "../routes.py", "%2e%2e/routes.py", "js"])
async def test_no_other_file_is_served(api: Api, name: str) -> None:
    reply = await api("GET", f"/console/assets/{name}")

    assert (reply.status, reply.code) == (404, "not_found")


async def test_files_of_one_folder_change_their_tags_with_their_contents(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    file = tmp_path / "js" / "app.js"
    file.write_text("1")
    before = read_assets(tmp_path)
    file.write_text("2")

    after = read_assets(tmp_path)

    assert before.keys() == after.keys() == {"js/app.js"}
    assert before["js/app.js"].etag != after["js/app.js"].etag


async def test_the_console_takes_no_other_method_and_is_not_documented(api: Api) -> None:
    assert (await api("POST", "/console/jobs")).headers["allow"] == "GET, HEAD"
    assert b"/console" not in (await api("GET", "/openapi.json")).raw


@pytest.mark.parametrize("address", ["/console", "/console/jobs"])
async def test_the_console_counts_as_what_is_asked_for_without_a_key(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_routes, "OPEN_RATE", Rate(2, 60))

    statuses = [(await api("GET", address)).status for _ in range(3)]

    assert statuses == [200, 200, 429]


def test_what_the_page_begins_with_is_loaded_at_once() -> None:
    folder = STATIC / "js"
    needed, left = set[Path](), [folder / "app.js"]
    while left:
        module = left.pop()
        found = re.findall(r'^import [^;]*?from "([^"]+)"', module.read_text(), re.MULTILINE)
        left += {(module.parent / each).resolve() for each in found} - needed
        needed |= set(left)

    preloaded = re.findall(r'modulepreload" href="/console/assets/js/([^"]+)"', (STATIC / PAGE).read_text())

    assert set(preloaded) == {each.relative_to(folder).as_posix() for each in needed}
