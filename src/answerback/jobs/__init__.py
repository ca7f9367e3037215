"""The engine of every feature: accepting, running, finishing and recovering jobs."""
