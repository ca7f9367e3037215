"""Chaos: two API processes, three workers, PostgreSQL and a broker on one machine, with faults injected under load.

`python -m chaos [--quick] [scenario …]`, or `make chaos [QUICK=1]`. Each scenario prints one line of figures; a broken
promise is a failed exit. It needs PostgreSQL, Redis and RabbitMQ installed, and starts its own of each on 127.0.0.1.

| scenario | what is done to the fleet | minutes on two cores |
|---|---|---|
| kills | SIGKILL of random processes, 100 times in 10,000 jobs | 4 |
| database | PostgreSQL killed every six seconds | 1.5 |
| redis, rabbitmq | the broker flushed, killed, started again | 1.5 each |
| rolling | every process restarted, three times, under load | 1 |
| same-key | 10,000 concurrent POSTs under one idempotency key | 0.5 |
| skew | workers ten minutes ahead and behind | 1 |
| outage | a receiver down for a simulated 24 hours | 2 |
| lease | workers killed, ours and plain Celery's | 8 |
| backlog | 50,000 callbacks owed to a dead receiver | 7 |
| half-open-redis, half-open-rabbitmq | packets dropped to the database and to the broker | 1 each |
"""
