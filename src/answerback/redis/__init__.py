"""The connection to Redis, which processes share counts and conversation windows through."""
