"""The connection to Redis, through which processes share counts and conversation windows."""
