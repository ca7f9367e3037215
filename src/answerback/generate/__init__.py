"""One prompt, one answer, by a model of the list."""
