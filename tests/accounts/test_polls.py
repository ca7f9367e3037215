"""What OpenAI's clients ask for again and again counts against no rate."""

from pathlib import Path

from whole_api import whole_api

KEY = "client-token-2b7c"


async def test_reading_counts_against_no_rate(path: Path) -> None:
    async with whole_api(path, auth_token=KEY, rate_limit="3/hour", mock_delay_seconds=0) as api:
        endpoint = {"name": "shop", "url": "http://127.0.0.1:9/x", "event_types": ["response.completed"]}
        made = {
            "/v1/responses": {"input": "hi"},
            "/v1/conversations": {},
            "/v1/webhook_endpoints": endpoint,
        }
        ids = {each: (await api("POST", each, KEY, body=body)).json["id"] for each, body in made.items()}
        lists = [
            *("/v1/models", "/v1/webhook_endpoints", "/v1/webhook_event_types"),
            f"/v1/responses/{ids['/v1/responses']}/input_items",
            f"/v1/conversations/{ids['/v1/conversations']}/items",
        ]

        for read in (*lists, *(f"{each}/{made_id}" for each, made_id in ids.items()), "/v1/models/mock"):
            assert (await api("GET", read, KEY)).status == 200, read

        assert (await api("POST", "/v1/conversations", KEY, body={})).status == 429


async def test_counting_what_would_be_resent_counts_against_no_rate(path: Path) -> None:
    async with whole_api(path, auth_token=KEY, rate_limit="1/hour") as api:
        counted = {"status": "dead", "dry_run": True}

        for _ in range(2):
            assert (await api("POST", "/v1/deliveries/resend", KEY, body=counted)).status == 200

        assert (await api("POST", "/v1/deliveries/resend", KEY, body={"status": "dead"})).status == 202
        assert (await api("POST", "/v1/deliveries/resend", KEY, body={"status": "dead"})).status == 429
