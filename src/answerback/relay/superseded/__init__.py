"""The webhook route over the job engine that goes."""
