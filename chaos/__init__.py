"""Chaos: two API processes, three workers, PostgreSQL and a broker on one machine, hurt while they work.

`python -m chaos [--quick] [scenario …]`. Each scenario prints one line of figures; a broken promise is a failed exit.
"""
