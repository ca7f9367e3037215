"""Endpoints: where tenants receive the events that they subscribed to."""
