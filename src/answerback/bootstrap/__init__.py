"""Putting the service together: the only place that builds adapters, and the processes that run them."""
