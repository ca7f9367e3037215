"""The doors: each parses, makes one core call and renders."""
