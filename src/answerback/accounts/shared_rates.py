"""One count of a key's requests for all processes: exact, by Redis's clock, in one round trip."""

from answerback.accounts.ratelimit import Rates
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.rate import Rate, Standing
from answerback.redis.link import Away, Link
from answerback.redis.names import Names

# A list of the times of the admitted requests, newest first, in microseconds.
HIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, window = tonumber(ARGV[1]), ARGV[2] * 1000000
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - window do
    redis.call('RPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], -1)
end
local count = redis.call('LLEN', KEYS[1])
local admitted = count < limit
if admitted then
    redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], ARGV[2] * 1000)
    count = count + 1
end
return {admitted and 1 or 0, limit - count, (oldest or now) + window - now}
"""


class SharedRates:
    """Implements `Rates`; while Redis is away, `local` counts."""

    def __init__(self, link: Link, names: Names, local: Rates) -> None:
        self._link = link
        self._names = names
        self._local = local

    async def hit(self, caller: str, rate: Rate) -> Standing:
        try:
            # The rate is a part of the name: a changed rate counts anew.
            key = await self._names.name("rate", caller, f"{rate.amount}/{rate.seconds}")
            reply = await self._link.call("EVAL", HIT, 1, key, rate.amount, rate.seconds)
        except (Away, StorageUnavailable):
            return await self._local.hit(caller, rate)
        admitted, remaining, microseconds = reply
        return Standing(bool(admitted), remaining, microseconds / 1_000_000)
