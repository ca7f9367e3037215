"""Tools: as requests write them, and as chat completions know them."""
