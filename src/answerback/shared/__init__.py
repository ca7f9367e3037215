"""What the processes of one deployment share through Redis. It can be done without: Redis is never the record."""
