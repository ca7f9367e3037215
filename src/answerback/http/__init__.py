"""The toolkit of routes: server protocol, middleware, bodies, errors, server-sent events, idempotency."""
