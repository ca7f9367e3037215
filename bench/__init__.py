"""Measures the service beside its peers, in one run: `make bench`."""
