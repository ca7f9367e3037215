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
local limit, window, more = tonumber(ARGV[1]), ARGV[2] * 1000000, tonumber(ARGV[3])
local newest = redis.call('LINDEX', KEYS[1], 0)
if newest and tonumber(newest) > now + 1000000 then
    -- Redis's clock was set back: nothing would leave the window for as long.
    redis.call('DEL', KEYS[1])
end
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - window do
    redis.call('RPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], -1)
end
local count = redis.call('LLEN', KEYS[1])
local short = count + more - limit
local leaving = oldest
if short > 1 then
    leaving = redis.call('LINDEX', KEYS[1], -math.min(short, count))
end
if short <= 0 then
    for _ = 1, more do
        redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[2] * 1000)
    count = count + more
end
return {short <= 0 and 1 or 0, limit - count, (leaving or now) + window - now}
"""


class SharedRates:
    """Implements `Rates`; while Redis is away, `local` counts."""

    def __init__(self, link: Link, names: Names, local: Rates) -> None:
        self._link = link
        self._names = names
        self._local = local

    async def hit(self, caller: str, rate: Rate, count: int = 1) -> Standing:
        try:
            # The rate is a part of the name: a changed rate counts anew.
            key = await self._names.name("rate", caller, f"{rate.amount}/{rate.seconds}")
            reply = await self._link.call("EVAL", HIT, 1, key, rate.amount, rate.seconds, count)
        except (Away, StorageUnavailable):
            return await self._local.hit(caller, rate, count)
        admitted, remaining, microseconds = reply
        return Standing(bool(admitted), remaining, microseconds / 1_000_000)
