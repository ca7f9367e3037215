"""Responses in the database: rows of jobs of the kind `response`, and their events."""
