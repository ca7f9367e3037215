"""The webhook relay: a message in, 202 at once, the answer to the callback URL."""
