"""Metrics name routes, not what callers make up."""

import json
from pathlib import Path

from metrics_page import Page
from whole_api import whole_api

MOUNT = "/static-offline-docs"
KEY = "client-token-2b7c"


async def test_no_caller_makes_up_a_label(path: Path) -> None:
    async with whole_api(path, auth_token=KEY) as api:
        for number in range(20):
            assert (await api("GET", f"{MOUNT}/{number}.js")).status == 404
            await api("GET", f"/v1/jobs/{number}", KEY)
            await api("GET", f"/v1/{number}/x")
            await api(f"M{number}", "/webhook")
        await api("GET", "/docs")
        labels = Page((await api("GET", "/metrics")).raw.decode()).labels("http_requests_total", "route")
    assert labels == {MOUNT, "/v1/jobs/{job_id}", "/webhook", "/docs", "unmatched"}


async def test_half_a_surrogate_pair_is_refused_and_breaks_no_page(path: Path) -> None:
    half = json.dumps("\ud83d").encode()
    message = b'"callback_url": "https://203.0.114.1/"'
    async with whole_api(path, mock_delay_seconds=0) as api:
        for asked, body in {
            "/webhook": b'{"message": "hi", "model": %b, %b}' % (half, message),
            "/api/ask": b'{"question": "hi", "model": %b}' % half,
            "/generate": b'{"prompt": "hi", "model": %b}' % half,
            "/v1/chat/completions": b'{"model": %b, "messages": [{"role": "user", "content": "hi"}]}' % half,
            "/v1/chat/completions/": b'{"messages": [{"role": "user", "content": %b}]}' % half,
            "/v1/chat/completions//": b'{"messages": [{%b: "user"}]}' % half,
        }.items():
            assert (await api("POST", asked, body=body)).status in (400, 422), asked
        whole = b'{"messages": [{"role": "user", "content": "\\ud83c\\udf0d"}]}'
        assert (await api("POST", "/v1/chat/completions", body=whole)).status == 200
        assert (await api("GET", "/metrics")).status == 200


async def test_metrics_are_for_this_machines_own_names_while_it_listens_on_loopback(path: Path) -> None:
    async with whole_api(path) as api:
        assert (await api("GET", "/metrics", host="rebound.example:8080")).status == 421
        assert (await api("GET", "/metrics", origin="https://page.example")).status == 401
        assert (await api("GET", "/metrics", host="127.0.0.1:8080")).status == 200
