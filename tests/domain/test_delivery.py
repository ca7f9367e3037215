"""What a delivery shares with others."""

from answerback.webhooks.model import ClaimedDelivery


def delivery(tenant_id: str) -> ClaimedDelivery:
    origin = "https://example.com:443"
    return ClaimedDelivery("msg_1", "job_1", f"{origin}/c", origin, b"", 1, 1, 0, None, 0, None, tenant_id, 0)


def test_tenants_do_not_share_the_gate_of_an_origin() -> None:
    assert delivery("one").gate == delivery("one").gate
    assert delivery("one").gate != delivery("another").gate
