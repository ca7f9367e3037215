"""Ids, clocks, errors, retry schedules, interfaces of log, metrics and traces: of the standard library alone, but for
Pydantic's writer of JSON."""
