"""Attempts over HTTP: which addresses may be called, how a connection is made, what a response means."""
