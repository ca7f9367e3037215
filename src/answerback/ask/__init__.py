"""One question, one answer, and the history of both."""
