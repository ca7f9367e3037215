"""Which tenants did something lately."""


class Lately:
    """Times are seconds of one monotonic clock; after `seconds` a tenant is forgotten."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at: dict[str, float] = {}
        """When each did it last. The latest is last."""

    def note(self, tenant_id: str, now: float) -> None:
        self._at.pop(tenant_id, None)
        self._at[tenant_id] = now
        self.forget(now)

    def forget(self, now: float) -> None:
        """Those who did nothing for long."""
        while self._at and self._at[oldest := next(iter(self._at))] <= now - self._seconds:
            del self._at[oldest]

    def __contains__(self, tenant_id: str) -> bool:
        return tenant_id in self._at

    def __len__(self) -> int:
        return len(self._at)

    def has_others(self, tenant_id: str) -> bool:
        """Whether another tenant did."""
        return len(self._at) > (tenant_id in self._at)
