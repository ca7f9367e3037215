"""A small tenant beside a big one, who holds as much of one shared pool as it gets."""
