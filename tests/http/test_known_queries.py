"""A list refuses a parameter that it does not have: a misspelt filter would list everything."""

import anyio.to_thread
import pytest

from whole_api import Api, shared_api

pytestmark = pytest.mark.asyncio(loop_scope="module")
api = shared_api()


@pytest.mark.parametrize(
    "listed", ["/v1/jobs", "/v1/sessions", "/v1/keys", "/v1/inbox", "/v1/receivers", "/api/history"]
)
async def test_an_unknown_parameter_is_named_with_those_that_there_are(api: Api, listed: str) -> None:
    assert (await api("GET", listed)).status == 200

    refused = await api("GET", f"{listed}?state=failed&limt=1")

    assert (refused.status, refused.code) == (422, "validation_error")
    assert [each["loc"] for each in refused.json["detail"]] == [["query", "state"], ["query", "limt"]]
    known = {"/v1/receivers": "tenant", "/v1/jobs": "status, kind, session_id"}.get(listed, "limit")
    assert f"there are {known}" in refused.json["error"]["message"]


async def test_a_list_takes_no_thread(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise AssertionError("a request waits for a thread")

    monkeypatch.setattr(anyio.to_thread, "run_sync", refused)

    assert (await api("GET", "/v1/jobs?limit=1")).status == 200


async def test_openais_lists_pass_what_other_versions_of_its_clients_send(api: Api) -> None:
    assert (await api("GET", "/v1/models?unknown=1")).status == 200


@pytest.mark.parametrize("zone", ["Z", "+00:00", "%2B00:00", "%2b05:30"])
async def test_a_zones_plus_need_not_be_escaped(api: Api, zone: str) -> None:
    assert (
        await api("GET", f"/v1/jobs?since=2026-01-01T12:00:00{zone}&until=2027-01-01T12:00:00.5{zone}")
    ).status == 200


@pytest.mark.parametrize("moment", ["2026-01-01", "2026-01-01%2000:00", "2026-01-01T12:00:00", "1767225600"])
async def test_a_time_without_a_zone_is_still_none(api: Api, moment: str) -> None:
    assert (await api("GET", f"/v1/jobs?since={moment}")).status == 422
