"""How much each origin is called at once, and how fast."""
