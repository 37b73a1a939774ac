-- Adds to a counter, once for each operation that has an id.
-- KEYS: value, done. ARGV: by, ms after which the value expires ('' never), operation ('' none), ms for which operations are
-- remembered, how many are.
-- Reply: the sum.

local VALUE, DONE = KEYS[1], KEYS[2]
local BY, TTL, OPERATION, REMEMBER, REMEMBERED = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local once = OPERATION ~= ''

if once and redis.call('ZSCORE', DONE, OPERATION) then return redis.call('GET', VALUE) or '0' end
redis.call('INCRBY', VALUE, BY)
if TTL ~= '' and redis.call('PTTL', VALUE) == -1 then redis.call('PEXPIRE', VALUE, TTL) end
if once then
  local time = redis.call('TIME')
  local ms = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', DONE, string.format('%.0f', ms), OPERATION)
  redis.call('ZREMRANGEBYSCORE', DONE, '-inf', '(' .. string.format('%.0f', ms - REMEMBER))
  local over = redis.call('ZCARD', DONE) - REMEMBERED
  if over > 0 then redis.call('ZPOPMIN', DONE, over) end
  redis.call('PEXPIRE', DONE, REMEMBER)
end
-- As text: a number would lose what is beyond 2^53.
return redis.call('GET', VALUE)
