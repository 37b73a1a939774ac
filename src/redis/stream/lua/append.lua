-- Appends once for each key of idempotence.
-- KEYS: log, once. ARGV: payload, most entries ('' for any number), ms for which the key is remembered. Reply: the id.

local known = redis.call('GET', KEYS[2])
if known then return known end
local id
if ARGV[2] == '' then
  id = redis.call('XADD', KEYS[1], '*', 'p', ARGV[1])
else
  id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'p', ARGV[1])
end
redis.call('SET', KEYS[2], id, 'PX', ARGV[3])
return id
