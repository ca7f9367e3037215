"""Memory as turns of two texts: goes with the job engine that reads it."""
