"""Ids, clocks, errors, retry schedules, interfaces of log, metrics and traces: standard library only."""
