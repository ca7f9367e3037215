"""Ways to tell a worker pool that a row may be due. A lost notification costs latency, never a job."""
