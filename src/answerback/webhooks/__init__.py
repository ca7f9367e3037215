"""Deliveries, endpoints and signing secrets: which addresses may be called, how an attempt is made, how each origin is
paced."""
