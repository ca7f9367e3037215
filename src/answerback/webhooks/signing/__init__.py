"""Secrets, and the signatures made with them."""
