"""Ids, clocks, errors, retry schedules, protocols of logs, metrics and traces: standard library only."""
