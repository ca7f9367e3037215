"""HEAD is answered as GET is, without the body: load balancers and link checkers ask so."""

from pathlib import Path

from whole_api import whole_api

KEYED = ("/v1/jobs", "/v1/models", "/models", "/api/history", "/metrics", "/v1/overview", "/v1/jobs/job_nothing")
OPEN = ("/healthz", "/readyz", "/console", "/console/jobs", "/docs", "/openapi.json", "/nothing", "/v1/nothing")


async def test_every_route_that_takes_get_takes_head(path: Path) -> None:
    async with whole_api(path, auth_token="t" * 16, app_host="0.0.0.0") as api:
        for asked in (*KEYED, *OPEN):
            whole = await api("GET", asked, "t" * 16)
            head = await api("HEAD", asked, "t" * 16)
            assert (head.status, head.raw) == (whole.status, b""), asked
            assert head.headers["content-type"] == whole.headers["content-type"], asked


async def test_what_a_load_balancer_asks_for_is_200(path: Path) -> None:
    async with whole_api(path) as api:
        for asked in ("/healthz", "/readyz", "/metrics", "/console", "/v1/models", "/models", "/v1/jobs"):
            assert (await api("HEAD", asked)).status == 200, asked


async def test_a_head_needs_the_key_that_its_get_needs(path: Path) -> None:
    async with whole_api(path, auth_token="t" * 16, app_host="0.0.0.0") as api:
        reply = await api("HEAD", "/v1/jobs")
        assert (reply.status, reply.raw) == (401, b"")


async def test_what_takes_no_get_takes_no_head(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("HEAD", "/v1/chat/completions")
        assert (reply.status, reply.raw, reply.headers["allow"]) == (405, b"", "POST")
