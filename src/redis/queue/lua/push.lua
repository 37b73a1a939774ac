-- Adds a job, unless there is one of this key. ARGV: value, priority, ms until it is due, key ('' for none), ms for which the key is
-- remembered, when it is due ('' for what the third says). Reply: the id, and 1 if it is new, 0 if it was there.

local VALUE, PRIORITY, WAIT, KEY, REMEMBERED = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])

for _, key in ipairs(redis.call('ZRANGEBYSCORE', RECENT, '-inf', text(now), 'LIMIT', 0, 10)) do
  redis.call('ZREM', RECENT, key)
  redis.call('HDEL', ONCE, key)
end
if KEY ~= '' then
  local known = redis.call('HGET', ONCE, KEY)
  local over = redis.call('ZSCORE', RECENT, KEY)
  if known and not (over and tonumber(over) <= now) then return { known, 0 } end
  redis.call('ZREM', RECENT, KEY)
end

local id = string.format('%016.0f', redis.call('HINCRBY', META, 'last', 1))
local s = { priority = PRIORITY, attempts = 0, forget = KEY == '' and 0 or now + REMEMBERED, key = KEY }
-- First what may be refused, since a key of ours is something else: an id without a job is passed over.
local due = tonumber(ARGV[6]) or now + WAIT
if due > now then later(id, due) else ready(id, s) end
redis.call('HSET', JOBS, id, VALUE)
keep(id, s)
if KEY ~= '' then redis.call('HSET', ONCE, KEY, id) end
return { id, 1 }
