"""Ways to wake worker pools: in this process, over a broker, over PostgreSQL."""
