"""Leased rows: claiming, extending, releasing, order, the worker pool, and notifiers that wake it."""
