"""What everything stands on: ids, clocks, errors, retry schedules, protocols of logs, metrics and traces. Standard library only."""
