-- Notes that a record is about to be of a principal.
-- KEYS: index. ARGV: time in milliseconds ('' for the server's), id, for how long it may be, most entries. Reply: 1, or 0 where there are too
-- many, and whether something else lay there.

local key, now, span = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[3])
local real = not now
if real then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local spoilt = 0
local count = redis.pcall('ZCOUNT', key, string.format('(%.0f', now), '+inf')
if type(count) == 'table' then
  -- Any other failure is raised.
  if not string.find(count.err, 'WRONGTYPE', 1, true) then redis.call('ZCARD', key) end
  redis.call('DEL', key)
  count, spoilt = 0, 1
end
if count >= tonumber(ARGV[4]) then return { 0, spoilt } end
local last = string.format('%.0f', math.min(now + span, 2 ^ 52))
local added = redis.pcall('ZADD', key, last, ARGV[2] .. struct.pack('<I6', now))
if type(added) == 'table' then return added end
redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
if not real then span = math.max(span, 3600000) end
if redis.call('PTTL', key) < span then redis.call('PEXPIRE', key, string.format('%.0f', span)) end
return { 1, spoilt }
